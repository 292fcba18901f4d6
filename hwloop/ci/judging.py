"""From a measurement, its budget and its baseline to what is right and wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hwloop.ci.baseline import Entry
from hwloop.ci.cases import Finding, Status
from hwloop.ci.plan import Budget
from hwloop.compare.judge import is_regression
from hwloop.errors import UsageError
from hwloop.records import Measurement, Verdict
from hwloop.records.comparison import Comparison
from hwloop.verdict import OUTPUTS_DIFFER

# Runs the baseline's artifact and the new one in turns on the device.
Compare = Callable[[Entry, Measurement], Comparison]
# Makes the bundle of what was measured, and says how large it is.
BundleSize = Callable[[Measurement], int]
NO_BASELINE = "it has no baseline: `hwloop ci --update-baseline` writes one, to be checked in"


def judge(
    measurement: Measurement,
    budget: Budget,
    entry: Entry | None,
    peak_activation_bytes: int | None,
    compare: Compare,
    bundle_bytes: BundleSize,
    *,
    against_baseline: bool = True,
) -> list[Finding]:
    """Return what was found of a measurement, outputs first; a failed one is not looked at further.

    On an emulated device counts decide, and they repeat exactly; on a real one a regression is what `compare` shows.

    Raises:
        InfrastructureError: the device failed while it compared.
    """
    failure = measurement.failure
    if failure:
        return [Finding("measurement", Status.FAILED, f"{failure.kind.value}: {' '.join(failure.message.split())}")]
    found = [*_outputs(measurement), *_speed(measurement, budget), *_sizes(measurement, budget, peak_activation_bytes)]
    if budget.bundle is not None:
        found.append(_bundle(measurement, budget.bundle, bundle_bytes))
    if budget.max_slowdown is not None and against_baseline:
        found.append(_regression(measurement, budget.max_slowdown, entry, compare))
    return found


def _outputs(measurement: Measurement) -> Iterator[Finding]:
    wrong = [reason for reason in measurement.reasons if reason.startswith(OUTPUTS_DIFFER)]
    error = measurement.summary.output_max_abs_err
    if wrong:
        yield Finding("outputs", Status.FAILED, wrong[0])
    elif error is None:
        yield Finding(
            "outputs", Status.SKIPPED, "ONNX Runtime on the host lacks an operator, so nothing says what is right"
        )
    else:
        words = f"within {error:.1e} of the reference" if error else "equal to the reference"
        yield Finding("outputs", Status.PASSED, words)


def _speed(measurement: Measurement, budget: Budget) -> Iterator[Finding]:
    emulated, summary = measurement.subject.emulated, measurement.summary
    doubts = [reason for reason in measurement.reasons if not reason.startswith(OUTPUTS_DIFFER)]
    doubted = measurement.verdict is Verdict.INVALID and doubts
    if emulated and doubted:
        yield Finding("counts", Status.FAILED, "; ".join(doubts))
    if budget.instructions is not None:
        if not emulated:
            yield Finding("instructions", Status.SKIPPED, "only emulated devices count them")
        elif summary.insns_per_call is not None:
            yield _within("instructions", summary.insns_per_call, budget.instructions, "{:,.0f} per call")
    if budget.median_ms is not None:
        if emulated:
            yield Finding("median", Status.SKIPPED, "an emulated device shows no times")
        elif doubted or not summary.ci95_ms:
            why = "; ".join(doubts) or "too few calls were timed"
            yield Finding("median", Status.FAILED, f"it cannot be judged: {why}")
        else:
            yield _median(summary.ci95_ms, budget.median_ms)


def _median(ci95_ms: tuple[float, float], allowed_ms: float) -> Finding:
    """Hold a median's interval against its budget: beyond it is what lies beyond it as a whole."""
    low, high = ci95_ms
    words = f"between {low:.4g} and {high:.4g} ms, {allowed_ms:g} ms allowed"
    return Finding("median", Status.FAILED if low > allowed_ms else Status.PASSED, words)


def _sizes(measurement: Measurement, budget: Budget, peak_activation_bytes: int | None) -> Iterator[Finding]:
    size = "{:,.0f} bytes"
    if budget.artifact is not None:
        yield _within("artifact", measurement.subject.artifact_bytes, budget.artifact, size)
    if budget.peak_activations is not None and peak_activation_bytes is not None:
        yield _within("peak activations", peak_activation_bytes, budget.peak_activations, size)
    if budget.peak_memory is not None:
        peak_rss_mb = measurement.summary.peak_rss_mb
        if peak_rss_mb is None:
            words = "this device does not show it; `peak_activations` is known everywhere"
            yield Finding("peak memory", Status.SKIPPED, words)
        else:
            yield _within("peak memory", peak_rss_mb * 1e6, budget.peak_memory, size)


def _bundle(measurement: Measurement, allowed: float, bundle_bytes: BundleSize) -> Finding:
    try:
        return _within("bundle", bundle_bytes(measurement), allowed, "{:,.0f} bytes")
    except UsageError as error:
        return Finding("bundle", Status.FAILED, f"it cannot be made: {error}")


def _within(what: str, value: float, allowed: float, form: str) -> Finding:
    status = Status.PASSED if value <= allowed else Status.FAILED
    return Finding(what, status, f"{form.format(value)}, {form.format(allowed)} allowed")


def _regression(measurement: Measurement, share: float, entry: Entry | None, compare: Compare) -> Finding:
    if entry is None:
        return Finding("baseline", Status.FAILED, NO_BASELINE)
    if entry.artifact_digest == measurement.subject.artifact_digest:
        if not measurement.subject.emulated:
            return Finding("baseline", Status.PASSED, "what is pushed is the baseline's, byte for byte")
    elif not measurement.subject.emulated:
        return _compared(measurement, share, entry, compare)
    before, now = entry.insns_per_call, measurement.summary.insns_per_call
    if before is None or now is None:
        return Finding("baseline", Status.FAILED, "the baseline was not counted on an emulated device: update it")
    words = f"{now / before - 1:+.2%} ({before:,.0f} to {now:,.0f} instructions per call), {_allowed(share)}"
    return Finding("baseline", Status.PASSED if now <= before * (1 + share) else Status.FAILED, words)


def _compared(measurement: Measurement, share: float, entry: Entry, compare: Compare) -> Finding:
    try:
        judgement = compare(entry, measurement).judgement
    except UsageError as error:
        words = f"the baseline's artifact cannot be run again: {error}"
        return Finding("baseline", Status.FAILED, f"{words}. {error.remedy} {NO_BASELINE}".strip())
    if judgement.ratio is None or judgement.interval is None:
        return Finding("baseline", Status.FAILED, "; ".join(judgement.reasons))
    low, high = judgement.interval
    words = (
        f"{judgement.ratio - 1:+.2%} ({judgement.confidence:.0%} interval {low - 1:+.2%} to {high - 1:+.2%}), "
        + _allowed(share)
    )
    return Finding("baseline", Status.FAILED if is_regression(judgement, share) else Status.PASSED, words)


def _allowed(share: float) -> str:
    return f"{100 * share:+.3g}% allowed"
