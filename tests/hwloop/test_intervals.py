"""The interval of the median covers what it says it covers; correlation within processes is paid for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.intervals import Percentile, design_effect, least_samples, median_interval, percentile

TRUE_NS = 1_000_000


def processes(chance, count, calls, within, between=0.0):
    """Return lognormal times of `count` processes whose own medians vary by `between`."""
    return [
        np.round(TRUE_NS * np.exp(within * chance.standard_normal(calls) + between * chance.standard_normal())).astype(
            int
        )
        for _ in range(count)
    ]


def share_covered(times, repeats, interval_of):
    hits = 0
    for _ in range(repeats):
        interval = interval_of(times())
        hits += interval.low <= TRUE_NS <= interval.high
    return hits / repeats


@pytest.mark.parametrize(("count", "calls"), [(1, 64), (3, 22), (3, 300)])
def test_the_median_of_independent_calls_is_covered(count, calls):
    chance = np.random.default_rng(1)
    covered = share_covered(lambda: processes(chance, count, calls, 0.1), 600, median_interval)
    assert covered >= 0.93


def test_the_exact_interval_of_a_few_calls_is_not_too_short():
    chance = np.random.default_rng(2)
    for calls in (6, 7, 9, 12, 21, 36):
        assert share_covered(lambda n=calls: processes(chance, 1, n, 0.3), 1000, median_interval) >= 0.93


@pytest.mark.parametrize("between", [0.02, 0.1])
def test_the_median_of_clustered_calls_is_covered_where_the_naive_interval_misses_it(between):
    chance = np.random.default_rng(3)
    honest = share_covered(lambda: processes(chance, 4, 100, 0.05, between), 400, median_interval)

    def naive(groups):
        return median_interval([np.concatenate(groups)])

    pooled = share_covered(lambda: processes(chance, 4, 100, 0.05, between), 400, naive)
    assert honest >= 0.92
    assert pooled <= honest - 0.3


def test_one_outlier_of_a_second_does_not_widen_the_interval():
    chance = np.random.default_rng(4)
    groups = processes(chance, 3, 200, 0.01)
    calm = median_interval(groups)
    groups[0][7] = 1_000_000_000
    assert median_interval(groups).relative_width <= 1.3 * calm.relative_width


def test_below_six_calls_there_is_no_interval():
    assert median_interval([[5, 6, 7, 8, 9]]) is None
    assert median_interval([]) is None
    assert median_interval([[5, 6, 7], [8, 9, 10]]) is not None


def test_processes_that_do_not_overlap_count_as_one_call_each():
    apart = [
        [100 + call for call in range(50)],
        [1100 + call for call in range(50)],
        [2100 + call for call in range(50)],
    ]
    interval = median_interval(apart)
    assert interval.effective_samples < 4
    assert (interval.low, interval.high) == (100, 2149)


times = st.lists(st.lists(st.integers(1, 10**12), max_size=40), max_size=6)


@given(times)
def test_the_interval_holds_the_median_and_lies_within_the_samples(groups):
    pooled = [sample for group in groups for sample in group]
    interval = median_interval(groups)
    if len(pooled) < 6:
        assert interval is None
        return
    assert min(pooled) <= interval.low <= interval.median <= interval.high <= max(pooled)
    assert 0 < interval.effective_samples <= len(pooled)


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=20), min_size=1, max_size=6))
def test_the_design_effect_is_between_one_and_the_largest_process(groups):
    values = np.array([float(value) for group in groups for value in group])
    sizes = [len(group) for group in groups]
    assert 1.0 <= design_effect(values, sizes) <= max(sizes) + 1e-9


@pytest.mark.parametrize(("share", "z", "calls"), [(0.9, 1.2815516, 100), (0.99, 2.3263479, 500)])
def test_the_bound_of_a_percentile_covers_it(share, z, calls):
    chance = np.random.default_rng(5)
    true = TRUE_NS * math.exp(0.1 * z)
    bounds = [percentile(processes(chance, 3, calls, 0.1), share).upper for _ in range(300)]
    assert np.mean([bound is None or bound >= true for bound in bounds]) >= 0.93
    assert sum(bound is None for bound in bounds) < 60


def test_p90_needs_64_independent_calls_and_p99_needs_662():
    assert (least_samples(0.9), least_samples(0.99)) == (64, 662)
    assert least_samples(0.95, 0.95) == 93  # of Wilks's tables


@pytest.mark.parametrize(("share", "least"), [(0.9, 64), (0.99, 662)])
def test_with_99_percent_confidence_two_calls_of_so_many_are_above_the_percentile(share, least):
    chance = np.random.default_rng(6)
    above = (chance.random((20_000, least)) > share).sum(axis=1)
    assert np.mean(above >= 2) == pytest.approx(0.99, abs=0.004)


@pytest.mark.parametrize(("share", "least"), [(0.9, 64), (0.99, 662)])
def test_a_percentile_is_claimed_from_so_many_calls_on(share, least):
    assert percentile([range(least - 1)], share).value is None
    assert percentile([range(least)], share).value is not None


def test_a_percentile_is_the_nearest_rank():
    assert percentile([range(1, 101)], 0.9) == Percentile(100, 64, 90, 96)
    assert percentile([range(1, 1001)], 0.99).value == 990


@pytest.mark.parametrize("slow_calls", [21, 15])
def test_a_percentile_is_not_claimed_where_one_process_made_all_the_slow_calls(slow_calls):
    found = percentile([[10] * 90, [10] * 90, [99] * slow_calls], 0.9)
    assert (found.value, found.upper) == (None, None)
    assert found.effective_samples < found.needed == 64


@given(times, st.sampled_from([0.9, 0.99]))
def test_a_percentile_lies_within_the_samples_and_below_its_bound(groups, share):
    found = percentile(groups, share)
    pooled = [sample for group in groups for sample in group]
    assert found.effective_samples <= len(pooled)
    if found.value is not None:
        assert min(pooled) <= found.value <= found.upper <= max(pooled)
