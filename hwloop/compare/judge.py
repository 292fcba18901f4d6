"""From the turns of all sets to a plain verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, median

from hwloop.compare.signed_rank import Location, least_sets, locate
from hwloop.records.comparison import ComparisonSet, Finding, Judgement, Round
from hwloop.stats import least_count

CONFIDENCE = 0.99
COUNT_FLOOR = 1e-6  # counted instructions repeat to less than this share
A, B, CONTROL = 0, 1, 2

Middle = Callable[[Sequence[float]], float]


def judge(sets: Sequence[ComparisonSet], *, emulated: bool) -> Judgement:
    """Return what the sets show; a difference within the noise floor, or within the interval, is not claimed."""
    wrong = tuple(_wrong_outputs(sets))
    samples = sum(len(turn.samples) for one in sets for turns in one.rounds for turn in turns)
    ratio, control = (_location(sets, number, emulated) for number in (B, CONTROL))
    if ratio is None or control is None:
        few = f"{len(sets)} sets are too few for a confidence of {CONFIDENCE:.0%}: {least_sets(CONFIDENCE)} are needed"
        return Judgement(Finding.NONE, CONFIDENCE, len(sets), samples, reasons=(few, *wrong))
    floor = max(abs(control.low), abs(control.high), COUNT_FLOOR if emulated else 0.0)
    shown = (ratio.low > 0 or ratio.high < 0) and abs(ratio.estimate) > floor
    finding = Finding.NONE if not shown else Finding.SLOWER if ratio.estimate > 0 else Finding.FASTER
    return Judgement(
        finding,
        CONFIDENCE,
        len(sets),
        samples,
        None if emulated else _typical(sets, A) / 1e6,
        None if emulated else _typical(sets, B) / 1e6,
        math.exp(ratio.estimate),
        (math.exp(ratio.low), math.exp(ratio.high)),
        math.exp(control.estimate),
        (math.exp(control.low), math.exp(control.high)),
        math.expm1(floor),
        wrong,
    )


def is_regression(judgement: Judgement, most_slowdown: float) -> bool:
    """Whether B is shown to be slower than A by more than a share: the whole interval lies beyond it."""
    interval = judgement.interval
    return judgement.finding is Finding.SLOWER and interval is not None and interval[0] > 1 + most_slowdown


def _location(sets: Sequence[ComparisonSet], number: int, emulated: bool) -> Location | None:
    values = [set_difference(one.rounds, number, least_count if emulated else median) for one in sets]
    if not emulated:
        return locate(values, CONFIDENCE)
    # Counts do not vary from process to process; their spread is what there is to be unsure of.
    return Location(median(values), min(values), max(values)) if values else None


def set_difference(rounds: Sequence[Round], number: int, middle: Middle = median) -> float:
    """Return the logarithm of a contestant's time over A's in one set: the median over its rounds."""
    return median(_level(turns, number, middle) - _level(turns, A, middle) for turns in rounds)


def _level(turns: Round, number: int, middle: Middle) -> float:
    """Return the mean logarithm of the middles of a contestant's turns in one round."""
    return fmean(math.log(middle(turn.samples)) for turn in turns if turn.contestant == number)


def _typical(sets: Sequence[ComparisonSet], number: int) -> float:
    """Return the median of a contestant's calls over all sets, in nanoseconds."""
    calls = [
        call
        for one in sets
        for turns in one.rounds
        for turn in turns
        if turn.contestant == number
        for call in turn.samples
    ]
    return median(calls)


def _wrong_outputs(sets: Sequence[ComparisonSet]) -> list[str]:
    found = []
    for number, name in ((A, "A"), (B, "B")):
        bad = sum(one.outputs_match[number] is False for one in sets)
        if bad:
            found.append(f"outputs differ: {name}'s outputs are wrong in {bad} of {len(sets)} sets")
    return found
