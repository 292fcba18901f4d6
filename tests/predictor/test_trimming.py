"""Rows from slow stretches are not learned from."""

import numpy as np
import pytest

from hwloop.predictor.trimming import trimmed, within


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("slower", [1.2, 3.0])
def test_a_slow_stretch_is_left_out_and_the_rest_is_kept(networks, share, slower):
    features, _, noisy = networks(200)
    bad = np.arange(200) < 200 * share
    kept = trimmed(features, np.where(bad, slower * noisy, noisy))
    assert kept[bad].mean() < 0.05 if share else True
    assert kept[~bad].mean() > 0.9


def test_a_fast_stretch_is_left_out_too(networks):
    features, _, noisy = networks(200)
    bad = np.arange(200) < 30
    kept = trimmed(features, np.where(bad, 0.8 * noisy, noisy))
    assert kept[bad].mean() < 0.05
    assert kept[~bad].mean() > 0.9


def test_few_rows_are_all_kept(networks):
    features, _, noisy = networks(12)
    noisy[0] *= 10
    assert trimmed(features, noisy).all()


def test_at_least_half_is_kept_whatever_the_residuals():
    residuals = np.concatenate([np.zeros(51), np.linspace(1, 2, 49)])
    assert within(residuals, np.ones(100, bool)).sum() >= 50
