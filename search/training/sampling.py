"""Which subnets learn in a step.

`sandwich`: the largest, the smallest and random ones; the largest teaches the others, along with the labels (Yu and
Huang, US-Nets, ICCV 2019; BigNAS, ECCV 2020). `uniform`: random ones, each choice drawn uniformly (Guo et al., SPOS,
ECCV 2020). `complexity`: random ones whose operations are near those of the step before, so that gradients of
neighbouring steps do not work against each other (Tang et al., ElasticViT, ICCV 2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random

from hwloop.errors import UsageError
from hwloop.records import Arch
from hwloop.search.spaces.choices import Choices

SAMPLINGS = ("sandwich", "uniform", "complexity")
GAP = 1.5  # most that operations grow or shrink from a step to the next, as a factor
DRAWS = 16  # subnets that are looked at for one that is near

Macs = Callable[[Arch], float]


@dataclass(frozen=True)
class Plan:
    """The subnets of a step: `students` learn from the labels, and from the teacher where there is one."""

    teacher: Arch | None
    students: tuple[Arch, ...]


@dataclass(frozen=True)
class Sampler:
    """Draws subnets by one of the rules; `macs` is asked by `complexity` alone. It keeps no state.

    Raises:
        UsageError: there is no such rule.
    """

    rule: str
    choices: Choices
    subnets: int
    macs: Macs

    def __post_init__(self) -> None:
        if self.rule not in SAMPLINGS:
            raise UsageError(f"there is no sampling {self.rule!r}", remedy=f"Use one of {', '.join(SAMPLINGS)}.")

    def plan(self, random: Random, previous: Sequence[Arch]) -> Plan:
        """Return the subnets of a step, after one whose students were `previous` (none before the first)."""
        if self.rule == "complexity":
            return Plan(None, self._near(random, previous))
        drawn = tuple(self.choices.sample(random) for _ in range(self.subnets))
        if self.rule == "uniform":
            return Plan(None, drawn)
        return Plan(self.choices.largest, (self.choices.smallest, *drawn))

    def _near(self, random: Random, previous: Sequence[Arch]) -> tuple[Arch, ...]:
        places = zip_longest(range(self.subnets), previous[: self.subnets])
        return tuple(self.choices.sample(random) if old is None else self._close_to(old, random) for _, old in places)

    def _close_to(self, old: Arch, random: Random) -> Arch:
        """Return a random subnet within the gap; the old one itself where none of those drawn is."""

        def gap(arch: Arch) -> float:
            return abs(math.log(self.macs(arch) / self.macs(old)))

        drawn = (self.choices.sample(random) for _ in range(DRAWS))
        return next((arch for arch in drawn if gap(arch) <= math.log(GAP)), old)
