"""A LINAS-style loop (D. Cummings et al., A hardware-aware framework for accelerating NAS, 2022).

Predictors learn from all results so far, NSGA-II searches over what they predict, and the best that it finds are
evaluated next. LINAS itself ends with candidates that nobody measured; here each that is asked for is.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hwloop.records import Candidate
from hwloop.search.genome import Genome
from hwloop.search.goals import Goal
from hwloop.search.strategies.base import Result
from hwloop.search.strategies.fresh import Fresh
from hwloop.search.strategies.surrogate import LEAST_RESULTS, Surrogate


class Linas:
    """Random candidates at first; then, batch after batch, the best by predicted means."""

    def __init__(self, genome: Genome, goal: Goal, seed: int) -> None:
        self._genome = genome
        self._random = Random(seed)
        self._fresh = Fresh(genome, self._random)
        self._surrogate = Surrogate(genome, goal, seed)
        self._results: list[Result] = []

    def ask(self, count: int) -> list[Candidate]:
        """Return candidates; see `Strategy`."""
        if len(self._results) < LEAST_RESULTS:
            return self._fresh.take(count)
        self._surrogate.fit(self._results)
        best = self._surrogate.search(self._results, 0.0, self._random.getrandbits(32))
        return self._fresh.choose(count, map(self._genome.coded, best))

    def tell(self, results: Sequence[Result]) -> None:
        """Learn from results; see `Strategy`."""
        self._fresh.know(result.candidate for result in results)
        self._results += [result for result in results if result.values is not None]
