"""Figures, and verdicts whose reasons say what to do."""

import random
from dataclasses import replace

import pytest

from hwloop.records import Evidence, Summary, TimingProtocol, Verdict
from hwloop.stats import summarise, verdict_of
from hwloop.testing.records import a_counted_run, a_run

PROTOCOL = TimingProtocol()


def three_runs(**changes):
    chance = random.Random(7)
    return [a_run(index, [chance.gauss(5.0, 0.05) for _ in range(40)], **changes) for index in range(3)]


def judge(runs, emulated=False, protocol=PROTOCOL):
    return verdict_of(runs, summarise(runs, emulated), protocol, emulated)


def test_the_figures_of_timed_runs():
    summary = summarise([a_run(0, range(1, 51)), a_run(1, range(51, 101), peak_rss_bytes=91_000_000)], False)
    assert summary.samples == 100
    assert summary.median_ms == 50.5
    assert summary.min_ms == 1.0
    assert summary.p90_ms == 90.0
    assert summary.peak_rss_mb == 91.0
    assert summary.output_max_abs_err == 1e-6
    assert summary.insns_per_call is None
    assert summary.ci95_ms[0] < 50.5 < summary.ci95_ms[1]


def test_a_few_calls_have_a_median_and_no_interval_or_percentile():
    summary = summarise([a_run(0, [5.0, 7.0, 6.0])], emulated=False)
    assert (summary.median_ms, summary.ci95_ms, summary.p90_ms, summary.p90_upper_ms) == (
        6.0,
        None,
        None,
        None,
    )


def test_an_emulated_device_gives_instructions_and_never_milliseconds():
    runs = [a_counted_run(index, [70_100_340 + index * 4] * 3) for index in range(3)]
    summary = summarise(runs, emulated=True)
    assert summary.insns_per_call == 70_100_344
    assert summary.samples == 9
    assert (summary.median_ms, summary.ci95_ms, summary.p90_ms, summary.min_ms) == (None, None, None, None)


def test_calm_runs_are_valid():
    assert judge(three_runs()) == (Verdict.VALID, ())


def test_equal_counts_are_valid():
    assert judge([a_counted_run(index) for index in range(3)], emulated=True) == (Verdict.VALID, ())


UNDERVOLTAGE_NOW = 0x1
THROTTLED_SINCE_BOOT = 0x40000


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (three_runs()[:2], "only 2 of 3 processes"),
        (three_runs(outputs_match=False, output_max_abs_err=0.25), "outputs differ from the fp32 reference"),
        ([a_run(index, [5.0] * 4) for index in range(3)], "only 12 calls were timed where 64 were asked"),
        ([a_run(index, []) for index in range(3)], "no call was timed"),
        (three_runs(steady=False), "still moved after 0.5 s of warm-up in 3 of 3 processes"),
        ([a_run(index, [4.0 + 2 * index] * 40) for index in range(3)], "wide where 2 % was asked"),
        (three_runs(after=Evidence(throttled=UNDERVOLTAGE_NOW)), "supply voltage was too low"),
        (
            three_runs(before=Evidence(throttled=0), after=Evidence(throttled=THROTTLED_SINCE_BOOT)),
            "it was throttled",
        ),
    ],
)
def test_a_reason_says_what_was_wrong_and_what_to_do(runs, words):
    verdict, reasons = judge(runs)
    assert verdict is Verdict.INVALID
    assert any(words in reason and ":" in reason for reason in reasons)


def test_the_largest_error_of_the_outputs_is_named():
    _, (reason,) = judge(three_runs(outputs_match=False, output_max_abs_err=0.25))
    assert "in 3 of 3 processes, by up to 0.25" in reason


def test_every_reason_is_given():
    runs = three_runs(steady=False, outputs_match=False, after=Evidence(throttled=0x4))
    assert len(judge(runs)[1]) == 3


def test_too_few_calls_come_with_the_seconds_that_would_do():
    _, (reason,) = judge([a_run(index, [500.0] * 2) for index in range(3)])
    assert "--seconds 39" in reason  # 64 calls of half a second, and a fifth more


def test_one_process_of_three_may_be_unsteady():
    runs = three_runs()
    runs[1] = replace(runs[1], steady=False)
    assert judge(runs)[0] is Verdict.VALID


def test_what_was_throttled_before_the_run_only_is_no_reason():
    sticky = Evidence(throttled=THROTTLED_SINCE_BOOT)
    assert judge(three_runs(before=sticky, after=sticky))[0] is Verdict.VALID


def test_an_interval_wider_than_asked_is_shown_and_one_five_times_as_wide_is_not_trusted():
    runs = three_runs()
    summary = Summary(samples=120, median_ms=5.0, ci95_ms=(4.8, 5.2))
    assert verdict_of(runs, summary, PROTOCOL, False)[0] is Verdict.VALID
    wide = replace(summary, ci95_ms=(4.7, 5.3))
    assert verdict_of(runs, wide, PROTOCOL, False)[0] is Verdict.INVALID
    unasked = replace(PROTOCOL, relative_width=0.0)
    assert verdict_of(runs, wide, unasked, False)[0] is Verdict.VALID


@pytest.mark.parametrize(("more", "verdict"), [(69, Verdict.VALID), (72, Verdict.INVALID)])
def test_counts_may_differ_by_a_millionth(more, verdict):
    runs = [
        a_counted_run(0, [70_000_000]),
        a_counted_run(1, [70_000_000 + more]),
        a_counted_run(2, [70_000_000]),
    ]
    assert judge(runs, emulated=True)[0] is verdict


def test_an_emulated_run_that_counted_nothing_is_invalid():
    _, reasons = judge([a_counted_run(index, []) for index in range(3)], emulated=True)
    assert "no instructions were counted" in reasons[0]
