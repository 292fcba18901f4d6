"""Candidates that were not seen yet: what every strategy hands out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from hwloop.records import Candidate
from hwloop.search.genome import Genome

PATIENCE = 20  # candidates in a row that were seen before, after which a way of drawing is given up


class Fresh:
    """Hands out each candidate of a genome once, as long as there are any."""

    def __init__(self, genome: Genome, random: Random) -> None:
        self._genome = genome
        self._random = random
        self._seen: set[Candidate] = set()
        self._rest = genome.points()

    def know(self, candidates: Iterable[Candidate]) -> None:
        """Never hand out these."""
        self._seen.update(self._genome.canonical(candidate) for candidate in candidates)

    def take(self, count: int, draw: Callable[[], Candidate] | None = None) -> list[Candidate]:
        """Return `count` candidates, fewer where the genome has no more.

        They are those that `draw` makes, then random ones, then whatever is left: each way until it makes nothing new.
        """
        found: list[Candidate] = []
        for way in (draw, self._drawn):
            misses = 0
            while way is not None and len(found) < count and misses < PATIENCE:
                misses = 0 if self._keep(way(), found) else misses + 1
        while len(found) < count and (candidate := next(self._rest, None)) is not None:
            self._keep(candidate, found)
        return found

    def choose(self, count: int, wanted: Iterable[Candidate]) -> list[Candidate]:
        """Return the first `count` of those wanted that were not seen yet, and more as `take` finds them."""
        found: list[Candidate] = []
        for candidate in wanted:
            if len(found) == count:
                break
            self._keep(candidate, found)
        return found + self.take(count - len(found))

    def is_new(self, candidate: Candidate) -> bool:
        """Return whether a candidate was neither handed out nor known."""
        return candidate not in self._seen

    def _drawn(self) -> Candidate:
        return self._genome.sample(self._random)

    def _keep(self, candidate: Candidate, found: list[Candidate]) -> bool:
        if candidate in self._seen:
            return False
        self._seen.add(candidate)
        found.append(candidate)
        return True
