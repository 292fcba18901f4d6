"""What candidates will be worth, learned from results so far, and a search over what is predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hwloop.predictor.posterior import Posterior
from hwloop.search.genome import Genome
from hwloop.search.goals import Goal, Objective
from hwloop.search.strategies.base import Result
from hwloop.search.strategies.herd import Herd

LEAST_RESULTS = 8  # before which nothing is predicted
LEAST_ERROR = 1e-4  # of a network that is never wrong
SAMPLE = 200  # candidates that show which columns of an encoding say the same
POPULATION, GENERATIONS = 100, 20
CROSSING, MUTATION = 0.9, 0.1

Codes = tuple[int, ...]  # of one candidate; see `Coding`


@dataclass(frozen=True, eq=False)
class Forecast:
    """Predicted burdens of candidates, with deviations: [candidates, keys] both, in the order of `Goal.keys`."""

    mean: np.ndarray
    deviation: np.ndarray


class Surrogate:
    """Predicts all values that a goal needs, each by a Gaussian process of its burden.

    A burden is the logarithm of what is to be low: latency, size, and the share of wrong answers. What multiplies
    these (a width, a scheme) then adds, and a network that is useless does not drown the differences of the others.
    """

    def __init__(self, genome: Genome, goal: Goal, seed: int) -> None:
        self._genome, self._goal = genome, goal
        random = np.random.default_rng(seed)
        self._columns = distinct_columns(genome.coding.encode(genome.coding.sample(SAMPLE, random)))
        self._posteriors: list[Posterior] = []

    def fit(self, results: Sequence[Result]) -> None:
        """Learn from all results that have values."""
        worth = [(result.candidate, result.values) for result in results if result.values is not None]
        codes = self._genome.codes([candidate for candidate, _ in worth])
        burdens = np.array([[burden(key, values[key]) for key in self._goal.keys] for _, values in worth])
        self._posteriors = [Posterior.of(self._features(codes), column) for column in burdens.T]

    def predict(self, codes: np.ndarray) -> Forecast:
        """Return what candidates, by their codes, will be worth; `fit` comes first."""
        features = self._features(codes)
        found = [posterior.predict(features) for posterior in self._posteriors]
        return Forecast(*(np.column_stack(columns) for columns in zip(*found, strict=True)))

    def search(self, known: Sequence[Result], deviations: float, seed: int) -> np.ndarray:
        """Return codes of candidates that are not known and that survive NSGA-II, the best rank first.

        What counts is a prediction so many `deviations` better than expected. The population starts with what is
        known and with random candidates.
        """
        random = np.random.default_rng(seed)
        herd = Herd[Codes](POPULATION, len(self._goal.objectives), seed)
        start = self._genome.codes([result.candidate for result in known])
        seen = set(map(tuple, start.tolist()))
        herd.add(self._predicted(start, deviations))
        asked = self._genome.coding.sample(POPULATION, random)
        for _ in range(GENERATIONS):
            fresh = [code for code in dict.fromkeys(map(tuple, asked.tolist())) if code not in seen]
            seen.update(fresh)
            herd.add(self._predicted(np.array(fresh, np.int64).reshape(-1, start.shape[1]), deviations))
            parents = np.array(herd.members)
            pairs = herd.pairs(POPULATION).astype(np.intp)
            asked = self._genome.coding.children(parents[pairs[:, 0]], parents[pairs[:, 1]], CROSSING, MUTATION, random)
        old = set(map(tuple, start.tolist()))
        return np.array([code for code in herd.members if code not in old], np.int64).reshape(-1, start.shape[1])

    def _predicted(self, codes: np.ndarray, deviations: float) -> Iterator[tuple[Codes, tuple[float, ...], float]]:
        """Yield codes with the costs and violations that are hoped for."""
        if len(codes):
            forecast = self.predict(codes)
            burdens = forecast.mean - deviations * forecast.deviation
            for code, row in zip(codes.tolist(), burdens.tolist(), strict=True):
                values = {key: value_of(key, one) for key, one in zip(self._goal.keys, row, strict=True)}
                yield tuple(code), self._goal.costs(values), self._goal.violation(values)

    def _features(self, codes: np.ndarray) -> np.ndarray:
        return self._genome.coding.encode(codes)[:, self._columns]


def burden(key: str, value: float) -> float:
    """Return the logarithm of what is to be low."""
    low = 1 - value if Objective.parse(key).maximised else value
    return float(np.log(max(low, LEAST_ERROR)))


def value_of(key: str, found: float) -> float:
    """Return the value whose burden that is."""
    low = float(np.exp(found))
    return 1 - low if Objective.parse(key).maximised else low


def distinct_columns(rows: np.ndarray) -> np.ndarray:
    """Return the places of columns [rows, columns] that vary, one of those that vary alike or oppositely."""
    centred = rows - rows.mean(axis=0)
    deviation = centred.std(axis=0)
    open_columns = np.flatnonzero(deviation > 1e-9)
    unit = centred[:, open_columns] / deviation[open_columns]
    unit = np.round(unit * np.sign(unit[0]), 9)
    return np.sort(open_columns[np.unique(unit, axis=1, return_index=True)[1]])
