"""What each calibration method makes of the numbers it saw."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwloop.exporter.quantize.observers import Entropy, Histogram, MinMax, Percentile, divergence

BATCHES = st.lists(
    arrays(np.float32, st.integers(1, 20), elements=st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=4
)


def normal(count=20_000, seed=0):
    return np.random.default_rng(seed).standard_normal(count, dtype=np.float32)


def ranged(observer, *batches):
    for batch in batches:
        observer.add(batch)
    return observer.range()


@given(BATCHES)
@settings(max_examples=30)
def test_min_max_is_what_was_seen(batches):
    everything = np.concatenate(batches)
    assert ranged(MinMax(), *batches) == (everything.min(), everything.max())


@given(BATCHES)
@settings(max_examples=30)
def test_a_histogram_loses_nothing_however_its_reach_grows(batches):
    histogram = Histogram()
    for batch in batches:
        histogram.add(batch)
    everything = np.concatenate(batches)
    half = histogram.counts.size // 2
    assert histogram.counts[half:].sum() == (everything >= 0).sum()
    assert histogram.counts[:half].sum() == (everything < 0).sum()


@given(BATCHES, st.sampled_from([Percentile, Entropy]))
@settings(max_examples=30)
def test_no_method_goes_beyond_what_was_seen(batches, method):
    low, high = ranged(method(), *batches)
    everything = np.concatenate(batches)
    assert everything.min() <= low <= high <= everything.max()


def test_percentile_leaves_out_what_is_rare():
    outlier = np.array([1000], np.float32)
    low, high = ranged(Percentile(), normal(100_000), outlier)
    assert high < 10 and low < -3
    assert ranged(MinMax(), normal(100_000), outlier)[1] == 1000


def test_entropy_clips_a_long_tail_and_keeps_a_flat_distribution():
    tail = np.random.default_rng(0).laplace(size=200_000).astype(np.float32)
    low, high = ranged(Entropy(), tail)
    assert 2 < high < tail.max() and low == pytest.approx(-high)
    flat = np.linspace(-1, 1, 100_000, dtype=np.float32)
    assert ranged(Entropy(), flat) == pytest.approx((-1, 1), abs=0.05)


def test_zeros_alone_are_a_range_too():
    for method in (MinMax, Percentile, Entropy):
        assert ranged(method(), np.zeros(5, np.float32)) == (0, 0)


def test_a_distribution_that_few_levels_hold_diverges_not_at_all():
    counts = np.zeros(1024, np.int64)
    counts[:128] = 7
    assert divergence(counts, 128) == pytest.approx(0)
    counts[512] = 100
    assert divergence(counts, 128) > 0.01
