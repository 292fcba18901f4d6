"""Whether a measurement can be trusted: VALID, or INVALID with reasons that say what to do.

Some reasons are found in a single process: it was throttled, its outputs differ, its times still moved, its clock
moved, its temperature was not level, others used its processors. The median of several processes survives some
bad ones: with a share s of bad calls it is at worst the (0.5 / (1 - s)) quantile of the good ones. So such a reason
counts from `TOLERATED` of the calls on; wrong outputs and throttling count at once.

Others are found in all processes together: too few of them, too few calls, an interval far wider than asked, counts
that differ. An interval wider than asked is none: it is shown beside the median, and a cap was reached. Only beyond
five times the width asked does the median say too little to be used. A percentile that the calls cannot carry is
not claimed at all, so there is no reason for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from hwloop.intervals import least_samples
from hwloop.records import Limits, Measurement, ProcessRun, Summary, TimingProtocol, Verdict
from hwloop.records.evidence import LIVE_THROTTLE_BITS
from hwloop.stats import at_full_speed, counts_per_run, median, relative_spread

TOLERATED = 0.4  # of the calls; one process of three, and two of five
COUNT_TOLERANCE = 1e-6
WIDEST = 5  # times the relative width asked
TICK_S = 0.01  # by which the kernel counts processor time; two of them is what it may be wrong by

STICKY_SHIFT = 16  # the same conditions since boot, in the upper half of the word

OUTPUTS_DIFFER = "outputs differ"


@dataclass(frozen=True)
class Judged:
    """What is judged."""

    runs: Sequence[ProcessRun]
    summary: Summary
    protocol: TimingProtocol
    limits: Limits

    @cached_property
    def usual_clock_mhz(self) -> float | None:
        """The median of the clocks of all processes."""
        clocks = [clock for run in self.runs for clock in run.during.clocks_mhz]
        return median(clocks) if clocks else None


@dataclass(frozen=True)
class Finding:
    """What was wrong with one process, in words with figures; the finding with the largest `size` is told."""

    size: float
    words: str


@dataclass(frozen=True)
class ProcessCheck:
    """One thing that can be wrong with a process, which share of the calls it may have spoilt, and what to do."""

    find: Callable[[ProcessRun, Judged], Finding | None]
    remedy: str
    tolerated: float = TOLERATED

    def __call__(self, judged: Judged) -> str | None:
        """Return the reason, where too many processes show it."""
        found = [(run, finding) for run in judged.runs if (finding := self.find(run, judged))]
        spoilt = sum(map(_weight, (run for run, _ in found)))
        if not found or spoilt <= self.tolerated * sum(map(_weight, judged.runs)):
            return None
        worst = max((finding for _, finding in found), key=lambda finding: (finding.size, finding.words))
        return f"{worst.words} (in {len(found)} of {len(judged.runs)} processes): {self.remedy}"


def outputs_differ(measurement: Measurement) -> bool:
    """Return whether a runtime computed something else on a device than the reference."""
    return any(reason.startswith(OUTPUTS_DIFFER) for reason in measurement.reasons)


def verdict_of(
    runs: Sequence[ProcessRun], summary: Summary, protocol: TimingProtocol, limits: Limits, *, emulated: bool
) -> tuple[Verdict, tuple[str, ...]]:
    """Return whether the figures can be trusted, and every reason why not."""
    judged = Judged(runs, summary, protocol, limits)
    checks = (_too_few_processes, *_process_checks(emulated), *(OF_COUNTS if emulated else OF_TIMES))
    found = tuple(reason for check in checks if (reason := check(judged)))
    return (Verdict.INVALID if found else Verdict.VALID), found


def findings_of(
    runs: Sequence[ProcessRun], summary: Summary, protocol: TimingProtocol, limits: Limits, *, emulated: bool
) -> list[tuple[str, ...]]:
    """Return what was wrong with each process of a measurement, in their order; nothing where it was calm."""
    judged = Judged(runs, summary, protocol, limits)
    checks = _process_checks(emulated)
    return [tuple(found.words for check in checks if (found := check.find(run, judged))) for run in runs]


def holds_under(known: Measurement, runs: Sequence[ProcessRun], limits: Limits) -> bool:
    """Whether a stored measurement with these runs would have the same verdict under other limits."""
    if known.limits in (None, limits) or known.verdict is Verdict.FAILED:
        return True
    protocol = TimingProtocol.from_json(known.subject.protocol)
    emulated = known.subject.emulated
    return verdict_of(runs, known.summary, protocol, limits, emulated=emulated)[0] is known.verdict


# ── in one process ──


def _outputs_differ(run: ProcessRun, judged: Judged) -> Finding | None:
    if run.outputs_match is not False:
        return None
    error = run.output_max_abs_err
    by = "" if error is None else f" by up to {error:.3g}"
    return Finding(error or 0.0, f"{OUTPUTS_DIFFER} from the fp32 reference{by}")


def _throttled(run: ProcessRun, judged: Judged) -> Finding | None:
    before, during, after = run.before.throttled, run.during.throttled or 0, run.after.throttled or 0
    newly_set = 0 if before is None else ((after | during) & ~before) >> STICKY_SHIFT
    bits = (before or 0) | during | after | newly_set
    words = [word for bit, word in LIVE_THROTTLE_BITS.items() if bits & bit]
    if not words:
        return None
    return Finding(len(words), f"throttled: the device could not hold its speed, {', '.join(words)}")


def _not_steady(run: ProcessRun, judged: Judged) -> Finding | None:
    if run.steady:
        return None
    return Finding(0.0, f"not steady: times still moved after {judged.protocol.warmup_seconds:g} s of warm-up")


def _frequency_moved(run: ProcessRun, judged: Judged) -> Finding | None:
    usual, clocks, limit = judged.usual_clock_mhz, run.during.clocks_mhz, judged.limits.frequency_moved
    if not usual or not clocks:
        return None
    farthest = max(clocks, key=lambda clock: abs(clock - usual))
    moved = abs(farthest - usual) / usual
    if moved <= limit:
        return None
    allowed = f"{percent(moved)} off where {percent(limit)} is allowed"
    governed = run.before.governor not in (None, "performance")
    governor = f", under the governor {run.before.governor}" if governed else ""
    return Finding(
        moved, f"frequency moved: the clock was {farthest:.0f} MHz beside {usual:.0f} usually, {allowed}{governor}"
    )


def _temperature_not_level(run: ProcessRun, judged: Judged) -> Finding | None:
    temperatures, limits = run.during.temperatures_c, judged.limits
    if not temperatures:
        return None
    low, high = min(temperatures), max(temperatures)
    if high > limits.hottest_c:
        return Finding(
            high, f"temperature not level: it was {high:.1f} °C hot where {limits.hottest_c:g} °C is allowed"
        )
    if high - low <= limits.temperature_moved_c:
        return None
    allowed = f"{limits.temperature_moved_c:g} °C is allowed"
    return Finding(high - low, f"temperature not level: it moved between {low:.1f} and {high:.1f} °C where {allowed}")


def _foreign_load(run: ProcessRun, judged: Judged) -> Finding | None:
    during, limits = run.during, judged.limits
    whole_s = during.window_s * len(during.cpus)
    if whole_s <= 0:
        return None
    certain_s = (during.foreign_s or 0.0) - 2 * TICK_S * len(during.cpus)
    if certain_s > limits.foreign_load * whole_s and during.foreign_share is not None:
        share, took, limit = during.foreign_share, "others took", limits.foreign_load
    elif during.waited_share is not None and during.waited_share > limits.waiting:
        share, took, limit = during.waited_share, "the process waited for a processor", limits.waiting
    else:
        return None
    of = "of its processors' time" if took == "others took" else "of the time"
    return Finding(share, f"foreign load: {took} {percent(share)} {of} where {percent(limit)} is allowed")


CHECKS_OF_ALL = (ProcessCheck(_outputs_differ, "the runtime computes something else on this device", tolerated=0.0),)
CHECKS_OF_TIMES = (
    ProcessCheck(_throttled, "cool it, or give it a stronger supply", tolerated=0.0),
    ProcessCheck(_not_steady, "close other programs on the device, or give it more --warmup"),
    ProcessCheck(_frequency_moved, "set its governor to performance, and keep it cool"),
    ProcessCheck(_temperature_not_level, "cool it, or give it more --warmup"),
    ProcessCheck(_foreign_load, "stop other programs on the device"),
)


def _process_checks(emulated: bool) -> tuple[ProcessCheck, ...]:
    return CHECKS_OF_ALL if emulated else (*CHECKS_OF_ALL, *CHECKS_OF_TIMES)


def _weight(run: ProcessRun) -> int:
    """Return how much of the measurement a process is: its calls."""
    return max(1, len(run.samples_ns))


# ── in all processes together ──


def _too_few_processes(judged: Judged) -> str | None:
    ran, asked = len(at_full_speed(judged.runs)), judged.protocol.processes
    how = " at full speed" if ran < len(judged.runs) else ""
    return None if ran >= asked else f"only {ran} of {asked} processes ran{how}: measure again with --fresh"


def _too_few_calls(judged: Judged) -> str | None:
    summary, protocol = judged.summary, judged.protocol
    if summary.samples >= protocol.min_calls:
        return None
    if summary.median_ms is None:
        return "no call was timed: give it more --seconds"
    needed = math.ceil(1.2 * protocol.min_calls * summary.median_ms / 1000)
    p90_needs = least_samples(0.9)
    too_few = f" (too few for p90, which needs {p90_needs})" if summary.samples < p90_needs else ""
    return (
        f"only {summary.samples} calls were timed where {protocol.min_calls} were asked{too_few}: "
        f"give it --seconds {max(needed, math.ceil(protocol.seconds) + 1)}"
    )


def _too_wide(judged: Judged) -> str | None:
    summary, asked = judged.summary, judged.protocol.relative_width
    if not summary.ci95_ms or not summary.median_ms or asked <= 0:
        return None
    low, high = summary.ci95_ms
    width = (high - low) / summary.median_ms
    if width <= WIDEST * asked:
        return None
    return (
        f"the median's 95 % interval is {percent(width)} wide where {percent(asked)} was asked: "
        "close other programs on the device, or give it more --seconds"
    )


def _counts_differ(judged: Judged) -> str | None:
    counts = counts_per_run(judged.runs)
    if not counts:
        return "no instructions were counted: measure again with --fresh"
    spread = relative_spread(counts)
    if spread <= COUNT_TOLERANCE:
        return None
    return (
        f"instruction counts of processes differ by {spread:.1e} where {COUNT_TOLERANCE:.0e} is allowed: "
        "the model or its runtime does not do the same work each time"
    )


OF_TIMES = (_too_few_calls, _too_wide)
OF_COUNTS = (_counts_differ,)


def percent(share: float) -> str:
    """Return a share as messages show it."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"
