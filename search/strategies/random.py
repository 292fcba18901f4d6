"""Random search: what every other strategy must beat."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hwloop.records import Candidate
from hwloop.search.genome import Genome
from hwloop.search.goals import Goal
from hwloop.search.strategies.base import Result
from hwloop.search.strategies.fresh import Fresh


class RandomSearch:
    """Each choice and each scheme drawn uniformly; it learns nothing."""

    def __init__(self, genome: Genome, goal: Goal, seed: int) -> None:
        self._fresh = Fresh(genome, Random(seed))

    def ask(self, count: int) -> list[Candidate]:
        """Return candidates; see `Strategy`."""
        return self._fresh.take(count)

    def tell(self, results: Sequence[Result]) -> None:
        """See `Strategy`; only what need not be asked for again is remembered."""
        self._fresh.know(result.candidate for result in results)
