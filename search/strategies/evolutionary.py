"""The evolution of HAT (H. Wang et al., Hardware-aware transformers, ACL 2020): the best under a hard constraint.

A generation is made of mutants and of children of the best candidates so far that keep the constraints. HAT drops
what breaks the latency constraint until it has enough, for ever if nothing keeps it; here what breaks it is
measured, too, and comes behind in the order of how much it does.

A goal without constraints is a front, for which HAT searches once for each latency: here each generation has a limit
of its own for every cost but the first objective's, each of the shares in `LIMITS` of what was found so far in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from random import Random

import numpy as np

from hwloop.records import Candidate
from hwloop.search.genome import Genome
from hwloop.search.goals import Goal
from hwloop.search.strategies.base import Result
from hwloop.search.strategies.fresh import Fresh

POPULATION = 25  # a fifth of HAT's 125, as are the others: it has thousands of evaluations, and these are measurements
PARENTS = 5
MUTATION = 0.3
LIMITS = (1.0, 0.2, 0.6, 0.4, 0.8)  # quantiles of the costs found


class Evolutionary:
    """Random candidates at first; then mutants and children of the best, as many of the ones as of the others."""

    def __init__(self, genome: Genome, goal: Goal, seed: int) -> None:
        self._genome, self._goal = genome, goal
        self._random = Random(seed)
        self._fresh = Fresh(genome, self._random)
        self._told: list[tuple[Candidate, tuple[float, ...], float]] = []  # with costs and violation
        self._limits = cycle(LIMITS)

    def ask(self, count: int) -> list[Candidate]:
        """Return candidates; see `Strategy`."""
        if len(self._told) < POPULATION:
            return self._fresh.take(count)
        moves = self._moves(self._best())
        return self._fresh.take(count, lambda: next(moves))

    def tell(self, results: Sequence[Result]) -> None:
        """Learn from results; see `Strategy`. Failed candidates are no parents."""
        self._fresh.know(result.candidate for result in results)
        for result in results:
            if result.values is not None:
                candidate = self._genome.canonical(result.candidate)
                self._told.append((candidate, self._goal.costs(result.values), self._goal.violation(result.values)))

    def _best(self) -> list[Candidate]:
        """Return the parents: by violation, then by the first objective."""
        costs = np.array([costs for _, costs, _ in self._told])
        violations = np.array([violation for _, _, violation in self._told])
        if not self._goal.constraints and len(self._goal.objectives) > 1:
            limits = np.quantile(costs[:, 1:], next(self._limits), axis=0)
            violations = (np.maximum(costs[:, 1:] - limits, 0) / (np.abs(limits) + 1e-12)).sum(axis=1)
        order = np.lexsort((costs[:, 0], violations))
        return [self._told[place][0] for place in order[:PARENTS]]

    def _moves(self, parents: list[Candidate]) -> Iterator[Candidate]:
        while True:
            yield self._genome.mutate(self._random.choice(parents), MUTATION, self._random)
            one, other = self._random.sample(parents, 2)
            yield self._genome.cross(one, other, self._random)
