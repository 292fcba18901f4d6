"""What a budget lets pass, and what it does not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.ci.baseline import Entry
from hwloop.ci.cases import Status
from hwloop.ci.judging import judge
from hwloop.ci.plan import Budget
from hwloop.errors import UsageError
from hwloop.records import Measurement, TimingProtocol, Verdict, usual_limits
from hwloop.records.comparison import Comparison, Finding, Judgement, Match
from hwloop.stats import summarise
from hwloop.testing.records import a_counted_run, a_failure, a_run, a_subject
from hwloop.verdict import verdict_of


def measured(runs, **changes):
    """A measurement of these runs, judged as each is."""
    subject = a_subject(**changes)
    summary = summarise(runs, subject.emulated)
    limits = usual_limits(a_facts())
    verdict, reasons = verdict_of(runs, summary, TimingProtocol(), limits, emulated=subject.emulated)
    return Measurement("01" * 10, "2026-01-01", subject, verdict, reasons, summary, runs=tuple(runs))


def a_facts():
    from hwloop.records import DeviceFacts

    return DeviceFacts("aarch64", "6.1", (2, 36), (3, 11, 2), "", "", (), 4, 4 << 30, 8 << 30, "/cache", "board")


def counted(instructions=1_000_000, **changes):
    runs = [a_counted_run(index, (instructions,) * 6) for index in range(3)]
    return measured(runs, emulated=True, device="pi4", **changes)


def timed(milliseconds=5.0, **changes):
    return measured([a_run(index, [milliseconds] * 40) for index in range(3)], **changes)


def never(entry, measurement):
    raise AssertionError("nothing is compared here")


def result(ratio, interval, finding):
    judgement = Judgement(finding, 0.99, 15, 1000, 5.0, 5.0, ratio, interval, 1.0, (0.999, 1.001), 0.001)
    return lambda entry, measurement: Comparison("1", "", Match(None, None, "", "", False, {}), judgement)


def no_bundle(measurement):
    raise UsageError("what was measured is not kept any more")


def findings(measurement, entry=None, compare=never, activations=6144, bundle_bytes=lambda _: 5_000_000, **budget):
    found = judge(measurement, Budget.model_validate(budget), entry, activations, compare, bundle_bytes)
    return {one.what: one for one in found}


def statuses(measurement, **more):
    return {what: one.status for what, one in findings(measurement, **more).items()}


class TestOutputs:
    def test_right_ones_pass_with_no_budget_at_all(self):
        assert statuses(counted()) == {"outputs": Status.PASSED}

    def test_wrong_ones_fail(self):
        wrong = measured([a_run(index, outputs_match=False, output_max_abs_err=0.5) for index in range(3)])
        assert statuses(wrong) == {"outputs": Status.FAILED}

    def test_what_cannot_be_measured_fails_and_says_why(self):
        failed = replace(counted(), verdict=Verdict.FAILED, failure=a_failure())
        assert "no operator LSTM" in findings(failed, instructions=1)["measurement"].words

    def test_without_a_reference_nothing_is_claimed(self):
        unknown = measured([a_run(index, outputs_match=None, output_max_abs_err=None) for index in range(3)])
        assert statuses(unknown) == {"outputs": Status.SKIPPED}


class TestBudgets:
    @pytest.mark.parametrize(("allowed", "status"), [(1_000_000, Status.PASSED), (999_999, Status.FAILED)])
    def test_instructions(self, allowed, status):
        assert statuses(counted(), instructions=allowed)["instructions"] is status

    def test_each_kind_of_device_shows_what_it_can(self):
        everything = {"instructions": 1, "median_ms": 1, "peak_memory": "1 GB"}
        emulated, real = statuses(counted(), **everything), statuses(timed(), **everything)
        assert (emulated["instructions"], real["instructions"]) == (Status.FAILED, Status.SKIPPED)
        assert (emulated["median"], real["median"]) == (Status.SKIPPED, Status.FAILED)
        assert (emulated["peak memory"], real["peak memory"]) == (Status.SKIPPED, Status.PASSED)

    def test_a_median_fails_when_its_whole_interval_is_beyond(self):
        wide = measured([a_run(index, [4.0 + 2 * index] * 40) for index in range(3)])
        low, high = wide.summary.ci95_ms
        for allowed, status in ((low * 0.99, Status.FAILED), ((low + high) / 2, Status.PASSED), (high, Status.PASSED)):
            if wide.verdict is Verdict.VALID:
                assert statuses(wide, median_ms=allowed)["median"] is status

    def test_times_that_cannot_be_trusted_do_not_pass(self):
        hasty = measured([a_run(index, [5.0] * 40, steady=False) for index in range(3)])
        assert "cannot be judged: not steady" in findings(hasty, median_ms=100)["median"].words

    def test_a_bundle_is_made_and_weighed(self):
        assert statuses(counted(), bundle="5 MB")["bundle"] is Status.PASSED
        assert statuses(counted(), bundle="4.9 MB")["bundle"] is Status.FAILED

    def test_a_bundle_that_cannot_be_made_fails(self):
        found = findings(counted(), bundle_bytes=no_bundle, bundle="5 MB")["bundle"]
        assert found.status is Status.FAILED and "not kept any more" in found.words

    def test_sizes(self):
        found = statuses(counted(artifact_bytes=4_000_001), artifact="4 MB", peak_activations="6 kB")
        assert (found["artifact"], found["peak activations"]) == (Status.FAILED, Status.FAILED)

    def test_counts_that_differ_fail(self):
        uneven = measured([a_counted_run(index, (1000 + index,) * 6) for index in range(3)], emulated=True)
        assert statuses(uneven)["counts"] is Status.FAILED


class TestTheBaseline:
    def test_without_one_it_fails_and_says_how_to_make_it(self):
        assert "--update-baseline" in findings(counted(), max_slowdown="1%")["baseline"].words

    @given(st.integers(1000, 10**12), st.integers(1000, 10**12))
    def test_counts_decide_on_emulated_devices(self, before, now):
        entry = Entry.of(counted(before, artifact_digest="old"))
        found = statuses(counted(now), entry=entry, max_slowdown="1%")["baseline"]
        assert (found is Status.FAILED) == (now > before * 1.01)

    def test_the_words_have_both_counts(self):
        found = findings(counted(1_030_000), entry=Entry.of(counted()), max_slowdown="1%")["baseline"]
        assert found.words == "+3.00% (1,000,000 to 1,030,000 instructions per call), +1% allowed"

    @pytest.mark.parametrize(
        ("ratio", "interval", "finding", "status"),
        [
            (1.2, (1.1, 1.3), Finding.SLOWER, Status.FAILED),
            (1.2, (1.005, 1.4), Finding.SLOWER, Status.PASSED),  # not shown to be beyond 1 %
            (1.02, (0.99, 1.05), Finding.NONE, Status.PASSED),
            (0.8, (0.7, 0.9), Finding.FASTER, Status.PASSED),
        ],
    )
    def test_on_real_devices_the_interval_of_a_comparison_decides(self, ratio, interval, finding, status):
        entry = Entry.of(timed(1.0, artifact_digest="old"))
        compare = result(ratio, interval, finding)
        assert statuses(timed(9.0), entry=entry, compare=compare, max_slowdown="1%")["baseline"] is status

    def test_equal_artifacts_are_not_compared(self):
        assert statuses(timed(9.0), entry=Entry.of(timed(1.0)), max_slowdown="1%")["baseline"] is Status.PASSED

    def test_a_baseline_that_cannot_be_run_again_does_not_pass(self):
        def lost(entry, measurement):
            raise UsageError("it is not kept any more", remedy="Measure it again.")

        entry = Entry.of(timed(artifact_digest="old"))
        found = findings(timed(), entry=entry, compare=lost, max_slowdown="1%")["baseline"]
        assert found.status is Status.FAILED
        assert "not kept any more. Measure it again." in found.words

    def test_too_few_sets_do_not_pass(self):
        few = Judgement(Finding.NONE, 0.99, 2, 10, reasons=("2 sets are too few",))
        entry = Entry.of(timed(artifact_digest="old"))
        compare = lambda *_: Comparison("1", "", Match(None, None, "", "", False, {}), few)  # noqa: E731
        assert statuses(timed(), entry=entry, compare=compare, max_slowdown="1%")["baseline"] is Status.FAILED
