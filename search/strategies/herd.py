"""The selection and survival of NSGA-II (K. Deb et al., 2002), by pymoo: of candidates, or of whatever is bred.

Tournaments go by constraint violation, dominance and crowding; survival by rank and crowding, where whatever keeps the
constraints comes before what does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from pymoo.algorithms.moo.nsga2 import binary_tournament
from pymoo.core.individual import Individual
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

T = TypeVar("T")


@dataclass(frozen=True)
class _Tournament:
    """What pymoo's tournament reads of an algorithm."""

    random_state: np.random.Generator
    tournament_type: str = "comp_by_dom_and_crowding"


class Herd(Generic[T]):
    """The best so far of all that was added, at most `size`, for so many objectives."""

    def __init__(self, size: int, objectives: int, seed: int) -> None:
        self._size = size
        self._random = np.random.default_rng(seed)
        self._problem = Problem(n_var=1, n_obj=objectives, n_ieq_constr=1)
        self._selection, self._survival = TournamentSelection(func_comp=binary_tournament), RankAndCrowding()
        self._population = Population()

    def __len__(self) -> int:
        return len(self._population)

    @property
    def members(self) -> list[T]:
        """Those that survived, the best rank first."""
        return [individual.data["member"] for individual in self._population]

    def add(self, members: Iterable[tuple[T, tuple[float, ...], float]]) -> None:
        """Add members with their costs, to be minimised, and by how much they break constraints (0: not)."""
        added = [
            Individual(F=np.array(costs), G=np.array([violation]), data={"member": member})
            for member, costs, violation in members
        ]
        if added:
            everyone = Population.merge(self._population, Population(added))
            self._population = self._survival.do(
                self._problem, everyone, n_survive=self._size, random_state=self._random
            )

    def pairs(self, count: int) -> np.ndarray:
        """Return the places [count, 2] of members that won tournaments."""
        return np.asarray(
            self._selection.do(
                self._problem,
                self._population,
                count,
                n_parents=2,
                to_pop=False,
                algorithm=_Tournament(self._random),
                random_state=self._random,
            )
        )
