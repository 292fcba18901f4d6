"""Figures of predictions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from hwloop.predictor.metrics import accuracy, coverage, kendall, spearman

MEASURED = np.array([1.0, 2.0, 4.0, 10.0])


def test_perfect_predictions():
    found = accuracy(MEASURED, MEASURED)
    assert (found.mape_percent, found.within_5_percent, found.rmse_ms) == (0, 100, 0)
    assert (found.spearman, found.kendall) == (pytest.approx(1), pytest.approx(1))


def test_errors_are_relative_to_what_was_measured():
    found = accuracy(MEASURED, MEASURED * [1.04, 0.94, 1.2, 1.0])
    assert found.mape_percent == pytest.approx((4 + 6 + 20 + 0) / 4)
    assert (found.within_5_percent, found.within_10_percent) == (50, 75)
    assert found.rmse_ms == pytest.approx(math.sqrt((0.04**2 + 0.12**2 + 0.8**2) / 4))


def test_coverage_and_width():
    found = coverage(MEASURED, MEASURED, MEASURED * [0.9, 1.1, 0.9, 0.9], MEASURED * 1.2)
    assert found.coverage_percent == 75
    assert found.mean_width_percent == pytest.approx((30 + 10 + 30 + 30) / 4)


def test_constant_predictions_have_no_rank():
    assert math.isnan(spearman(MEASURED, np.ones(4)))
    assert math.isnan(kendall(MEASURED, np.ones(4)))


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=3, max_size=30))
def test_spearman_is_scipys_with_ties(pairs):
    left, right = np.array(pairs, float).T
    if np.ptp(left) and np.ptp(right):
        assert spearman(left, right) == pytest.approx(spearmanr(left, right).statistic)
        assert kendall(left, right) == pytest.approx(kendall(left**3, np.log(right)))
