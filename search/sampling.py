"""Samples of a space that reach from its small networks to its large ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from random import Random
from typing import Protocol, TypeVar

from hwloop.errors import UsageError
from hwloop.records import Arch
from hwloop.records.candidate import Value
from hwloop.search.spaces.choices import Choices

DRAWS = 8  # points looked at for each that is kept

Point = TypeVar("Point", bound=Hashable, covariant=True)


class Points(Protocol[Point]):
    """What can be drawn from: choices, a genome."""

    def sample(self, random: Random) -> Point:
        """Return a point with each choice drawn uniformly."""

    def count(self) -> int:
        """Return how many points there are."""


def sample_distinct(choices: Points[Point], count: int, random: Random) -> list[Point]:
    """Return different points, each choice drawn uniformly; fewer than `count` where the space has no more."""
    found: dict[Point, None] = {}
    for _ in range(DRAWS * max(count, 64)):
        if len(found) >= min(count, choices.count()):
            break
        found.setdefault(choices.sample(random))
    return list(found)


def covering_archs(choices: Choices) -> Iterator[Arch]:
    """Yield points that have every layer between them: the largest first, then it with other values.

    Choices between words, such as kinds of layers, take their other values all at once, and then every choice takes
    each of its values alone; points that break a rule are left out.
    """
    yield choices.largest
    words = [choice for choice in choices if isinstance(choice.values[0], str)]
    for place in range(1, max((len(choice.values) for choice in words), default=1)):
        yield from varied(choices, {choice.name: choice.values[-1 - place % len(choice.values)] for choice in words})
    for choice in choices:
        for value in reversed(choice.values[:-1]):
            yield from varied(choices, {choice.name: value})


def varied(choices: Choices, values: Mapping[str, Value]) -> Iterator[Arch]:
    """Yield the point with these values and else the largest ones; nothing if that breaks a rule."""
    given = {choice.name: values.get(choice.name, choice.values[-1]) for choice in choices}
    try:
        yield choices.arch(given)
    except UsageError:
        return


def sample_by_complexity(
    choices: Choices, count: int, complexity: Callable[[Arch], float], random: Random
) -> list[Arch]:
    """Return different points whose complexities (positive) are spread evenly on a logarithmic scale.

    Uniform choices give middling networks nearly always. Here the logarithms from the smallest to the largest
    network are cut into `count` equal strata, and points are drawn with a bias towards small or large values until
    each stratum has one, or enough were looked at; strata that stay empty are filled from what was drawn.
    """
    low, high = (math.log(complexity(arch)) for arch in (choices.smallest, choices.largest))
    strata: dict[int, Arch] = {}
    spare: dict[Arch, None] = {}
    for number in range(DRAWS * count):
        arch = _leaning(choices, (number % count + 0.5) / count, random)
        place = (math.log(complexity(arch)) - low) / max(high - low, 1e-12)
        stratum = min(max(int(place * count), 0), count - 1)
        if stratum not in strata and arch not in spare:
            strata[stratum] = arch
        elif arch not in strata.values():
            spare.setdefault(arch)
        if len(strata) == count:
            break
    filled = [strata[stratum] for stratum in sorted(strata)]
    return [*filled, *list(spare)[: count - len(filled)]]


def _leaning(choices: Choices, lean: float, random: Random) -> Arch:
    """Return a point whose values lie around `lean` of the way from the first to the last."""

    def value(count: int) -> int:
        share = min(max(random.gauss(lean, 0.25), 0.0), 1.0)
        return min(int(share * count), count - 1)

    return choices.draw(lambda choice: choice.values[value(len(choice.values))])
