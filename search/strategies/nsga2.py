"""NSGA-II (K. Deb et al., A fast and elitist multiobjective genetic algorithm, 2002) on genomes.

Selection and survival are pymoo's (herd.py), crossing and mutation the genome's. Parents are replaced after every
batch, of whatever size, so a batch need not be a generation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from hwloop.records import Candidate
from hwloop.search.genome import Genome
from hwloop.search.goals import Goal
from hwloop.search.strategies.base import Result
from hwloop.search.strategies.fresh import Fresh
from hwloop.search.strategies.herd import Herd

POPULATION = 20  # budgets here are a hundred measurements or so
CROSSING = 0.9  # share of children with two parents
MUTATION = 0.1  # rate at which a gene is drawn anew


class Nsga2:
    """A population of parents, of random candidates at first, and children of those that won tournaments."""

    def __init__(self, genome: Genome, goal: Goal, seed: int) -> None:
        self._genome, self._goal = genome, goal
        self._random = Random(seed)
        self._fresh = Fresh(genome, self._random)
        self._herd = Herd[Candidate](POPULATION, len(goal.objectives), seed)

    @property
    def parents(self) -> list[Candidate]:
        """The candidates that survived so far, the best rank first."""
        return self._herd.members

    def ask(self, count: int) -> list[Candidate]:
        """Return candidates; see `Strategy`."""
        if len(self._herd) < POPULATION:
            return self._fresh.take(count)
        children = self._children()
        return self._fresh.take(count, lambda: next(children))

    def tell(self, results: Sequence[Result]) -> None:
        """Learn from results; see `Strategy`. Failed candidates have no children."""
        self._fresh.know(result.candidate for result in results)
        self._herd.add(
            (
                self._genome.canonical(result.candidate),
                self._goal.costs(result.values),
                self._goal.violation(result.values),
            )
            for result in results
            if result.values is not None
        )

    def _children(self) -> Iterator[Candidate]:
        parents = self._herd.members
        while True:
            for one, other in self._herd.pairs(POPULATION):
                child = parents[one]
                if self._random.random() < CROSSING:
                    child = self._genome.cross(child, parents[other], self._random)
                yield self._genome.mutate(child, MUTATION, self._random)
