"""A comparison in words and as JSON."""

from __future__ import annotations

from hwloop.cli import units
from hwloop.records.comparison import Comparison, Contender, Finding, Judgement

MANY_TIMES = 2  # from here on, percent are hard to read


def as_item(comparison: Comparison, most_slowdown: float, regression: bool) -> dict[str, object]:
    """Return the document that `hwloop compare --json` prints."""
    judgement, match = comparison.judgement, comparison.match
    return {
        "comparison_id": comparison.id,
        "created_at": comparison.created_at,
        "device": match.device,
        "a": {**_contender(match.a), "median_ms": judgement.a_median_ms},
        "b": {**_contender(match.b), "median_ms": judgement.b_median_ms},
        "unit": "instructions" if match.emulated else "time",
        "verdict": judgement.finding.value,
        "ratio": judgement.ratio,
        "ci99": judgement.interval and list(judgement.interval),
        "confidence": judgement.confidence,
        "control_ratio": judgement.control_ratio,
        "control_ci99": judgement.control_interval and list(judgement.control_interval),
        "noise_floor_percent": None if judgement.floor is None else 100 * judgement.floor,
        "max_slowdown_percent": 100 * most_slowdown,
        "regression": regression,
        "sets": judgement.sets,
        "samples": judgement.samples,
        "reasons": list(judgement.reasons),
    }


def lines(comparison: Comparison, most_slowdown: float, regression: bool) -> list[str]:
    """Return what a user reads of a comparison."""
    judgement, match = comparison.judgement, comparison.match
    told = [
        _contender_line("A", match.a, judgement.a_median_ms),
        _contender_line("B", match.b, judgement.b_median_ms),
        f"On {match.device}, {judgement.sets} sets of fresh processes, {judgement.samples:,} calls"
        + (", instructions compared." if match.emulated else "."),
    ]
    if judgement.ratio is not None and judgement.interval and judgement.floor is not None:
        sure = "over the sets" if match.emulated else f"{judgement.confidence:.0%} interval"
        told.append(
            f"B / A = {judgement.ratio:.4f}, {sure} {judgement.interval[0]:.4f} to {judgement.interval[1]:.4f}; "
            f"noise floor (A beside itself) {_percent(judgement.floor)}."
        )
    told.append(_verdict(judgement))
    if regression:
        told.append(f"This is a regression: beyond the {_percent(most_slowdown)} that --max-slowdown allows.")
    elif judgement.finding is Finding.SLOWER:
        told.append(f"Not shown to be beyond the {_percent(most_slowdown)} that --max-slowdown allows.")
    return told + [f"Beware: {reason}." for reason in judgement.reasons]


def _verdict(judgement: Judgement) -> str:
    if judgement.finding is Finding.NONE or judgement.ratio is None or judgement.interval is None:
        beyond = "" if judgement.floor is None else f" at this floor ({_percent(_least_visible(judgement))})"
        return f"No difference shown{beyond}."
    low, high = judgement.interval
    if max(judgement.ratio, 1 / judgement.ratio) >= MANY_TIMES:
        return (
            f"B is {judgement.finding.value}: it takes {judgement.ratio:.3g} times as long ({low:.3g} to {high:.3g})."
        )
    changes = sorted(abs(bound - 1) for bound in judgement.interval)
    return (
        f"B is {judgement.finding.value} by {_percent(abs(judgement.ratio - 1))} "
        f"({_percent(changes[0])} to {_percent(changes[1])})."
    )


def _least_visible(judgement: Judgement) -> float:
    """Return the larger of the noise floor and what the interval leaves open."""
    low, high = judgement.interval or (1.0, 1.0)
    return max(judgement.floor or 0.0, high - 1, 1 - low)


def _contender(contender: Contender) -> dict[str, object]:
    return {
        "model": contender.model,
        "model_digest": contender.model_digest,
        "artifact_digest": contender.artifact_digest,
        "runtime": contender.runtime,
        "runtime_version": contender.runtime_version,
    }


def _contender_line(name: str, contender: Contender, median_ms: float | None) -> str:
    time = "" if median_ms is None else f", median {units.milliseconds(median_ms)} ms"
    return f"{name}: {contender.model} with {contender.runtime} {contender.runtime_version}{time}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
