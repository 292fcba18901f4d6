"""The figures of a measurement."""

from dataclasses import replace

import pytest

from hwloop.stats import counts_per_run, relative_spread, summarise
from hwloop.testing.records import CALM, a_counted_run, a_run


def test_the_figures_of_timed_runs():
    even, odd = range(2, 101, 2), range(1, 101, 2)
    summary = summarise([a_run(0, even), a_run(1, odd, peak_rss_bytes=91_000_000)], False)
    assert summary.samples == 100
    assert summary.median_ms == 50.5
    assert summary.min_ms == 1.0
    assert summary.p90_ms == 90.0 < summary.p90_upper_ms
    assert summary.p99_ms is None
    assert summary.peak_rss_mb == 91.0
    assert summary.output_max_abs_err == 1e-6
    assert summary.insns_per_call is None
    assert summary.ci95_ms[0] < 50.5 < summary.ci95_ms[1]


def test_p99_is_claimed_from_662_calls_on():
    assert summarise([a_run(0, range(1, 662))], False).p99_ms is None
    summary = summarise([a_run(0, range(1, 701))], False)
    assert (summary.p99_ms, summary.p90_ms) == (693.0, 630.0)
    assert summary.p99_upper_ms > 693.0


def test_a_few_calls_have_a_median_and_no_interval_or_percentile():
    summary = summarise([a_run(0, [5.0, 7.0, 6.0])], emulated=False)
    assert (summary.median_ms, summary.ci95_ms) == (6.0, None)
    assert (summary.p90_ms, summary.p90_upper_ms, summary.p99_ms, summary.p99_upper_ms) == (None,) * 4


def test_no_percentile_is_claimed_where_processes_differ_so_much_that_they_decide_it():
    summary = summarise([a_run(index, [5.0 + index + call / 1000 for call in range(300)]) for index in range(3)], False)
    assert (summary.samples, summary.p90_ms, summary.p99_ms) == (900, None, None)


def test_an_emulated_device_gives_instructions_and_never_milliseconds():
    runs = [a_counted_run(index, [70_100_340 + index * 4] * 3) for index in range(3)]
    summary = summarise(runs, emulated=True)
    assert summary.insns_per_call == 70_100_344
    assert summary.samples == 9
    assert (summary.median_ms, summary.ci95_ms, summary.p90_ms, summary.min_ms) == (None, None, None, None)


def test_the_spread_of_counts_is_relative_to_their_median():
    assert relative_spread([100.0, 101.0, 99.0]) == 0.02
    assert relative_spread([100.0]) == 0.0


def test_what_a_process_counted_is_the_least_of_its_calls():
    runs = [a_counted_run(0, [1591841, 1591782, 1591787]), a_counted_run(1, [1591841, 1591782, 1592241])]
    assert counts_per_run(runs) == [1591782, 1591782]
    assert summarise(runs, emulated=True).insns_per_call == 1591782


def test_a_process_that_was_slow_throughout_counts_for_nothing():
    slow, quick, as_quick = (
        a_run(index, samples_ms=[value] * 30, during=replace(CALM, full_speed_ns=full_speed_ns, set_aside=0))
        for index, (value, full_speed_ns) in enumerate([(9.0, 19_800), (5.0, 11_400), (5.2, 11_900)])
    )
    found = summarise([slow, quick, as_quick], emulated=False)
    assert found.samples == 60 and found.median_ms == pytest.approx(5.1)
    assert summarise([slow], emulated=False).median_ms == 9.0
