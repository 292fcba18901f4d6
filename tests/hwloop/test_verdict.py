"""A verdict whose reasons say what was wrong, by how much, and what to do."""

import random
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.records import Conditions, Evidence, Limits, Measurement, Summary, TimingProtocol, Verdict
from hwloop.stats import summarise
from hwloop.testing.records import CALM, a_counted_run, a_failure, a_run, a_subject, conditions
from hwloop.verdict import findings_of, holds_under, verdict_of

PROTOCOL = TimingProtocol()
LIMITS = Limits()


def three_runs(**changes):
    chance = random.Random(7)
    return [a_run(index, [chance.gauss(5.0, 0.05) for _ in range(40)], **changes) for index in range(3)]


def judge(runs, emulated=False, protocol=PROTOCOL, limits=LIMITS):
    return verdict_of(runs, summarise(runs, emulated), protocol, limits, emulated=emulated)


def during(**changes):
    return {"during": replace(CALM, **changes)}


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
        (
            three_runs(outputs_match=False, output_max_abs_err=0.25),
            "outputs differ from the fp32 reference by up to 0.25 (in 3 of 3 processes)",
        ),
        (
            [a_run(index, [5.0] * 4) for index in range(3)],
            "only 12 calls were timed where 64 were asked (too few for p90, which needs 64)",
        ),
        ([a_run(index, []) for index in range(3)], "no call was timed"),
        (three_runs(steady=False), "still moved after 0.5 s of warm-up (in 3 of 3 processes)"),
        ([a_run(index, [4.0 + 2 * index] * 40) for index in range(3)], "wide where 2 % was asked"),
        (three_runs(after=Evidence(throttled=UNDERVOLTAGE_NOW)), "supply voltage was too low"),
        (three_runs(**during(throttled=0x4)), "it was throttled"),
        (three_runs(before=Evidence(throttled=0), after=Evidence(throttled=THROTTLED_SINCE_BOOT)), "it was throttled"),
        (three_runs(**during(clocks_mhz=(1500.0, 1500.0, 600.0))), "was 600 MHz beside 1500 usually, 60 % off"),
        (three_runs(**during(temperatures_c=(40.0, 48.0, 55.5))), "moved between 40.0 and 55.5 °C where 8 °C"),
        (three_runs(**during(temperatures_c=(91.0, 92.5))), "it was 92.5 °C hot where 90 °C is allowed"),
        (three_runs(**during(foreign_s=0.3)), "others took 30 % of its processors' time where 5 % is allowed"),
        (three_runs(**during(waited_s=0.2)), "waited for a processor 20 % of the time where 5 % is allowed"),
    ],
)
def test_a_reason_says_what_was_wrong_and_what_to_do(runs, words):
    verdict, (reason,) = judge(runs)
    assert verdict is Verdict.INVALID
    assert words in reason
    assert reason.rpartition(": ")[2]


def test_every_reason_is_given():
    runs = three_runs(steady=False, outputs_match=False, after=Evidence(throttled=0x4), **during(foreign_s=0.5))
    assert len(judge(runs)[1]) == 4


def test_too_few_calls_come_with_the_seconds_that_would_do():
    _, (reason,) = judge([a_run(index, [500.0] * 2) for index in range(3)])
    assert "--seconds 39" in reason  # 64 calls of half a second, and a fifth more


DISTURBED = [
    {"steady": False},
    during(clocks_mhz=(1500.0, 600.0)),
    during(temperatures_c=(40.0, 55.0)),
    during(foreign_s=0.3),
    during(waited_s=0.3),
]


@pytest.mark.parametrize("changes", DISTURBED, ids=lambda changes: next(iter(changes)))
def test_the_median_survives_one_bad_process_of_three_and_not_two(changes):
    runs = three_runs()
    runs[1] = replace(runs[1], **changes)
    assert judge(runs)[0] is Verdict.VALID
    runs[2] = replace(runs[2], **changes)
    verdict, (reason,) = judge(runs)
    assert verdict is Verdict.INVALID
    assert "(in 2 of 3 processes)" in reason


def test_a_bad_process_counts_for_as_many_calls_as_it_made():
    runs = three_runs()
    runs[0] = a_run(0, [5.0] * 400, **during(foreign_s=0.3))
    assert judge(runs)[0] is Verdict.INVALID


@pytest.mark.parametrize(
    "changes", [{"outputs_match": False}, {"after": Evidence(throttled=0x4)}, during(throttled=0x4)]
)
def test_wrong_outputs_and_throttling_count_in_a_single_process(changes):
    runs = three_runs()
    runs[1] = replace(runs[1], **changes)
    assert judge(runs)[0] is Verdict.INVALID


def test_what_was_throttled_before_the_run_only_is_no_reason():
    sticky = Evidence(throttled=THROTTLED_SINCE_BOOT)
    runs = three_runs(before=sticky, after=sticky, **during(throttled=THROTTLED_SINCE_BOOT))
    assert judge(runs)[0] is Verdict.VALID


def test_a_clock_that_differs_between_processes_moved_though_each_held_its_own():
    runs = [replace(run, **during(clocks_mhz=(1500.0 - 300 * run.index,) * 3)) for run in three_runs()]
    _, (reason,) = judge(runs)
    assert "(in 2 of 3 processes)" in reason


def test_a_governor_that_lets_the_clock_move_is_named():
    _, (reason,) = judge(three_runs(before=Evidence(governor="ondemand"), **during(clocks_mhz=(600.0, 1500.0))))
    assert "under the governor ondemand" in reason


def test_what_cannot_be_read_is_no_reason():
    assert judge(three_runs(during=Conditions(), before=Evidence(), after=Evidence()))[0] is Verdict.VALID
    unread = Conditions(cpus=(0,), window_s=1.0)
    assert judge(three_runs(during=unread))[0] is Verdict.VALID


def test_two_ticks_of_a_short_window_are_no_foreign_load():
    assert judge(three_runs(**during(window_s=0.05, foreign_s=0.02)))[0] is Verdict.VALID
    assert judge(three_runs(**during(window_s=0.05, foreign_s=0.03)))[0] is Verdict.INVALID


def test_limits_decide():
    runs = three_runs(**during(foreign_s=0.3, clocks_mhz=(1500.0, 1200.0), temperatures_c=(40.0, 60.0)))
    assert len(judge(runs)[1]) == 3
    loose = Limits(frequency_moved=0.5, temperature_moved_c=30.0, foreign_load=0.5)
    assert judge(runs, limits=loose)[0] is Verdict.VALID


def test_each_process_has_its_own_findings():
    runs = three_runs()
    runs[1] = replace(runs[1], steady=False, **during(foreign_s=0.3))
    found = findings_of(runs, summarise(runs, False), PROTOCOL, LIMITS, emulated=False)
    assert (found[0], found[2]) == ((), ())
    assert [words.partition(":")[0] for words in found[1]] == ["not steady", "foreign load"]


def test_an_interval_wider_than_asked_is_shown_and_one_five_times_as_wide_is_not_trusted():
    runs = three_runs()

    def verdict(summary, protocol=PROTOCOL):
        return verdict_of(runs, summary, protocol, LIMITS, emulated=False)[0]

    summary = Summary(samples=120, median_ms=5.0, ci95_ms=(4.8, 5.2))
    assert verdict(summary) is Verdict.VALID
    wide = replace(summary, ci95_ms=(4.7, 5.3))
    assert verdict(wide) is Verdict.INVALID
    assert verdict(wide, replace(PROTOCOL, relative_width=0.0)) is Verdict.VALID


@pytest.mark.parametrize(("more", "verdict"), [(69, Verdict.VALID), (72, Verdict.INVALID)])
def test_counts_may_differ_by_a_millionth(more, verdict):
    runs = [a_counted_run(index, [70_000_000 + (more if index == 1 else 0)]) for index in range(3)]
    assert judge(runs, emulated=True)[0] is verdict


def test_an_emulated_run_that_counted_nothing_is_invalid():
    _, reasons = judge([a_counted_run(index, []) for index in range(3)], emulated=True)
    assert "no instructions were counted" in reasons[0]


class TestOtherLimits:
    def stored(self, runs, verdict, limits=LIMITS, **more):
        subject = a_subject(protocol=asdict(PROTOCOL))
        return Measurement("01", "", subject, verdict, (), summarise(runs, False), limits=limits, **more)

    def test_leave_a_verdict_alone_that_they_do_not_change(self):
        runs = three_runs(**during(foreign_s=0.3))
        assert holds_under(self.stored(runs, Verdict.INVALID), runs, replace(LIMITS, hottest_c=50.0))
        assert holds_under(self.stored(three_runs(), Verdict.VALID), three_runs(), replace(LIMITS, foreign_load=0.01))

    def test_unsettle_a_verdict_that_they_would_change(self):
        runs = three_runs(**during(foreign_s=0.3))
        assert not holds_under(self.stored(runs, Verdict.INVALID), runs, replace(LIMITS, foreign_load=0.5))
        assert not holds_under(self.stored(three_runs(), Verdict.VALID), three_runs(), replace(LIMITS, hottest_c=50.0))

    def test_are_nothing_to_a_failure_or_to_what_was_judged_without_limits(self):
        failed = self.stored([], Verdict.FAILED, failure=a_failure())
        assert holds_under(failed, [], replace(LIMITS, foreign_load=0.5))
        assert holds_under(self.stored(three_runs(), Verdict.VALID, limits=None), three_runs(), replace(LIMITS))


lists_of_runs = st.lists(
    st.builds(
        a_run,
        samples_ms=st.lists(st.floats(0.1, 100), max_size=8),
        steady=st.booleans(),
        outputs_match=st.sampled_from([None, True, False]),
        after=st.builds(Evidence, throttled=st.none() | st.integers(0, 2**20)),
        during=conditions(),
    ),
    min_size=1,
    max_size=5,
)


@given(lists_of_runs, st.randoms())
def test_the_order_of_processes_does_not_matter(runs, chance):
    shuffled = runs.copy()
    chance.shuffle(shuffled)
    assert judge(runs) == judge(shuffled)


@given(lists_of_runs)
def test_invalid_and_reasons_go_together(runs):
    verdict, reasons = judge(runs)
    assert (verdict is Verdict.INVALID) == bool(reasons)


@given(lists_of_runs)
def test_a_reason_of_processes_is_a_finding_of_one_of_them(runs):
    found = findings_of(runs, summarise(runs, False), PROTOCOL, LIMITS, emulated=False)
    told = {words for words_of_one in found for words in words_of_one}
    for reason in judge(runs)[1]:
        if " processes):" in reason:
            assert reason.partition(" (in ")[0] in told


@given(lists_of_runs, st.integers(0, 4), st.integers(1, 200))
def test_more_calls_never_make_too_few(runs, which, more):
    def too_few(runs):
        return any("calls were timed where" in reason or "no call was" in reason for reason in judge(runs)[1])

    which %= len(runs)
    longer = runs.copy()
    longer[which] = replace(runs[which], samples_ns=(*runs[which].samples_ns, *range(more)))
    assert too_few(runs) or not too_few(longer)


@given(lists_of_runs, st.sampled_from(["frequency_moved", "temperature_moved_c", "hottest_c", "foreign_load"]))
def test_a_looser_limit_never_adds_a_reason(runs, name):
    looser = replace(LIMITS, **{name: getattr(LIMITS, name) * 2})
    assert len(judge(runs, limits=looser)[1]) <= len(judge(runs)[1])


def test_processes_that_were_slow_throughout_do_not_count():
    runs = three_runs(**during(full_speed_ns=11_400, set_aside=3))
    assert judge(runs)[0] is Verdict.VALID
    slow = replace(runs[0], **during(full_speed_ns=19_800, set_aside=0))
    nothing_kept = replace(runs[0], samples_ns=(), **during(full_speed_ns=11_400, set_aside=900))
    for run in (slow, nothing_kept):
        verdict, reasons = judge([run, *runs[1:]])
        assert verdict is Verdict.INVALID and "only 2 of 3 processes ran at full speed" in reasons[0]
        assert judge([run, *runs])[0] is Verdict.VALID
