"""The figures of a measurement, and whether they can be trusted.

A measurement is VALID, or INVALID with reasons that say what to do. Its calls are fewer than asked, most
processes did not become steady, an output differs from the reference, the device throttled, or instruction
counts differ: each is a reason. An interval wider than asked is not: it is shown beside the median, and a
cap was reached. Only beyond five times the width asked does the median say too little to be used. A
percentile that the calls cannot carry is not claimed at all, so there is no reason for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hwloop.intervals import median_interval, p90_with_bound
from hwloop.records import ProcessRun, Summary, TimingProtocol, Verdict

COUNT_TOLERANCE = 1e-6
WIDEST = 5  # times the relative width asked
UNSTEADY_SHARE = 1 / 3  # more unsteady processes than this share make a measurement INVALID

LIVE_THROTTLE_BITS = {
    0x1: "its supply voltage was too low",
    0x2: "its frequency was capped",
    0x4: "it was throttled",
    0x8: "it was at its temperature limit",
}
STICKY_SHIFT = 16  # the same conditions since boot, in the upper half of the word

Check = Callable[[Sequence[ProcessRun], Summary, TimingProtocol], str | None]


OUTPUTS_DIFFER = "outputs differ"


def summarise(runs: Sequence[ProcessRun], emulated: bool) -> Summary:
    """Return the figures of all runs together; on an emulated device instructions and no times."""
    peaks = [run.peak_rss_bytes for run in runs if run.peak_rss_bytes is not None]
    errors = [run.output_max_abs_err for run in runs if run.output_max_abs_err is not None]
    peak_rss_mb = max(peaks) / 1e6 if peaks else None
    max_abs_err = max(errors) if errors else None
    if emulated:
        counts = counts_per_run(runs)
        return Summary(
            samples=sum(len(run.instructions) for run in runs),
            peak_rss_mb=peak_rss_mb,
            output_max_abs_err=max_abs_err,
            insns_per_call=_median(counts) if counts else None,
        )
    groups = [run.samples_ns for run in runs if run.samples_ns]
    pooled = [sample for group in groups for sample in group]
    interval = median_interval(groups)
    p90, p90_upper = p90_with_bound(groups) or (None, None)
    return Summary(
        samples=len(pooled),
        median_ms=_median(pooled) / 1e6 if pooled else None,
        ci95_ms=(interval.low / 1e6, interval.high / 1e6) if interval else None,
        p90_ms=None if p90 is None else p90 / 1e6,
        p90_upper_ms=None if p90_upper is None else p90_upper / 1e6,
        min_ms=min(pooled) / 1e6 if pooled else None,
        peak_rss_mb=peak_rss_mb,
        output_max_abs_err=max_abs_err,
    )


def verdict_of(
    runs: Sequence[ProcessRun], summary: Summary, protocol: TimingProtocol, emulated: bool
) -> tuple[Verdict, tuple[str, ...]]:
    """Return whether the figures can be trusted, and every reason why not."""
    checks = (OF_ALL + OF_COUNTS) if emulated else (OF_ALL + OF_TIMES)
    found = tuple(reason for check in checks if (reason := check(runs, summary, protocol)))
    return (Verdict.INVALID if found else Verdict.VALID), found


def counts_per_run(runs: Sequence[ProcessRun]) -> list[float]:
    """Return the instructions per call of each run that counted: the median of its counted calls."""
    return [_median(run.instructions) for run in runs if run.instructions]


def relative_spread(counts: Sequence[float]) -> float:
    """Return the largest difference as a share of the median; 0 for fewer than two counts."""
    if len(counts) < 2:
        return 0.0
    middle = _median(counts)
    return (max(counts) - min(counts)) / middle if middle else math.inf


def _too_few_processes(runs: Sequence[ProcessRun], summary: Summary, protocol: TimingProtocol) -> str | None:
    if len(runs) >= protocol.processes:
        return None
    return f"only {len(runs)} of {protocol.processes} processes ran: measure again with --fresh"


def _outputs_differ(runs: Sequence[ProcessRun], summary: Summary, protocol: TimingProtocol) -> str | None:
    wrong = [run for run in runs if run.outputs_match is False]
    if not wrong:
        return None
    error = summary.output_max_abs_err
    size = "" if error is None else f", by up to {error:.3g}"
    return (
        f"{OUTPUTS_DIFFER} from the fp32 reference in {_of(len(wrong), len(runs))}{size}: "
        "the runtime computes something else on this device"
    )


def _too_few_calls(runs: Sequence[ProcessRun], summary: Summary, protocol: TimingProtocol) -> str | None:
    if summary.samples >= protocol.min_calls:
        return None
    if summary.median_ms is None:
        return "no call was timed: give it more --seconds"
    needed = math.ceil(1.2 * protocol.min_calls * summary.median_ms / 1000)
    return (
        f"only {summary.samples} calls were timed where {protocol.min_calls} were asked: "
        f"give it --seconds {max(needed, math.ceil(protocol.seconds) + 1)}"
    )


def _not_steady(runs: Sequence[ProcessRun], summary: Summary, protocol: TimingProtocol) -> str | None:
    unsteady = sum(not run.steady for run in runs)
    if unsteady <= UNSTEADY_SHARE * len(runs):
        return None
    return (
        f"times still moved after {protocol.warmup_seconds:g} s of warm-up in {_of(unsteady, len(runs))}: "
        "close other programs on the device, or give it more --warmup"
    )


def _too_wide(runs: Sequence[ProcessRun], summary: Summary, protocol: TimingProtocol) -> str | None:
    if not summary.ci95_ms or not summary.median_ms or protocol.relative_width <= 0:
        return None
    low, high = summary.ci95_ms
    width = (high - low) / summary.median_ms
    if width <= WIDEST * protocol.relative_width:
        return None
    asked = _percent(protocol.relative_width)
    return (
        f"the median's 95 % interval is {_percent(width)} wide where {asked} was asked: "
        "close other programs on the device, or give it more --seconds"
    )


def _throttled(runs: Sequence[ProcessRun], summary: Summary, protocol: TimingProtocol) -> str | None:
    bits = 0
    for run in runs:
        before, after = run.before.throttled, run.after.throttled or 0
        newly_set = 0 if before is None else (after & ~before) >> STICKY_SHIFT
        bits |= (before or 0) | after | newly_set
    words = [word for bit, word in LIVE_THROTTLE_BITS.items() if bits & bit]
    if not words:
        return None
    return f"the device could not hold its speed ({', '.join(words)}): cool it, or give it a stronger supply"


def _counts_differ(runs: Sequence[ProcessRun], summary: Summary, protocol: TimingProtocol) -> str | None:
    counts = counts_per_run(runs)
    if not counts:
        return "no instructions were counted: measure again with --fresh"
    spread = relative_spread(counts)
    if spread <= COUNT_TOLERANCE:
        return None
    return (
        f"instruction counts of processes differ by {spread:.1e} where {COUNT_TOLERANCE:.0e} is allowed: "
        "the model or its runtime does not do the same work each time"
    )


OF_ALL: tuple[Check, ...] = (_too_few_processes, _outputs_differ)
OF_TIMES: tuple[Check, ...] = (_too_few_calls, _not_steady, _too_wide, _throttled)
OF_COUNTS: tuple[Check, ...] = (_counts_differ,)


def _of(some: int, all_of_them: int) -> str:
    return f"{some} of {all_of_them} processes"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return float(ordered[half]) if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
