"""The default: measure what the intervals leave open.

1. The first candidates fill the space: its ends in fp32 and in 8 bits, then those farthest from all before.
2. From then on every batch begins with Gaussian processes of all values, with calibrated intervals, learned from all
   results (surrogate.py).
3. NSGA-II over the good ends of the intervals finds, among thousands, those that may be on the front and feasible.
4. Of these the batch takes, one by one, the candidate that is expected to add most hypervolume (expected.py), times
   its chance of keeping the constraints.

Where no constraint can be kept, as far as is known, the batch is of those that will break them least.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
from scipy.special import log_ndtr

from hwloop.records import Candidate, Scheme
from hwloop.search.genome import Genome
from hwloop.search.goals import Constraint, Goal, Objective, front
from hwloop.search.strategies.base import Result
from hwloop.search.strategies.expected import box_points, choose, reach, undominated
from hwloop.search.strategies.fresh import Fresh
from hwloop.search.strategies.surrogate import LEAST_RESULTS, Forecast, Surrogate, burden

OPTIMISM = 1.0  # deviations by which the inner search hopes
ENDS = (Scheme.FP32, Scheme.INT8_STATIC, Scheme.INT8_DYNAMIC)
FILLERS = 256  # random candidates of which those that fill the space are taken
MARGIN = 0.1  # the box reaches so much beyond what was found


class Guided:
    """Fills the space first, then measures where the front can grow."""

    def __init__(self, genome: Genome, goal: Goal, seed: int) -> None:
        self._genome, self._goal = genome, goal
        self._random = Random(seed)
        self._fresh = Fresh(genome, self._random)
        self._surrogate = Surrogate(genome, goal, seed)
        self._asked: list[Candidate] = []
        self._results: list[Result] = []

    def ask(self, count: int) -> list[Candidate]:
        """Return candidates; see `Strategy`."""
        wanted = self._filling(count) if len(self._results) < LEAST_RESULTS else self._promising(count)
        asked = self._fresh.choose(count, wanted)
        self._asked += asked
        return asked

    def tell(self, results: Sequence[Result]) -> None:
        """Learn from results; see `Strategy`."""
        self._fresh.know(result.candidate for result in results)
        self._results += [result for result in results if result.values is not None]

    # ── before anything is known ──

    def _filling(self, count: int) -> list[Candidate]:
        """Return the ends of the space, and then those of random candidates that are farthest from all others."""
        choices = self._genome.choices
        ends = [self._genome.uniform(arch, scheme) for scheme in ENDS for arch in (choices.smallest, choices.largest)]
        found = [candidate for candidate in dict.fromkeys(ends) if self._fresh.is_new(candidate)]
        pool = [self._genome.sample(self._random) for _ in range(FILLERS)]
        rows = self._genome.encode(pool)
        nearest = np.full(len(pool), np.inf)
        for candidate in [*self._asked, *found]:
            nearest = np.minimum(nearest, _distances(rows, self._genome.encode([candidate])))
        while len(found) < count and nearest.max() > 0:
            place = int(nearest.argmax())
            found.append(pool[place])
            nearest = np.minimum(nearest, _distances(rows, rows[place]))
        return found

    # ── from then on ──

    def _promising(self, count: int) -> list[Candidate]:
        """Return candidates that may be on the front, those first that are expected to add most to it."""
        self._surrogate.fit(self._results)
        codes = self._surrogate.search(self._results, OPTIMISM, self._random.getrandbits(32))
        pool = [self._genome.coded(code) for code in codes]
        if not pool:
            return []
        forecast = self._surrogate.predict(codes)
        objectives = {objective.key for objective in self._goal.objectives}
        # What bounds an objective bounds the box, too.
        others = [constraint for constraint in self._goal.constraints if constraint.key not in objectives]
        chances = np.exp(self._log_chances(forecast, others)) * [self._fresh.is_new(candidate) for candidate in pool]
        chosen = choose(self._reach(forecast), chances, count)
        likely = np.argsort(-self._log_chances(forecast, self._goal.constraints), kind="stable").tolist()
        return [pool[place] for place in dict.fromkeys([*chosen, *likely])]

    def _reach(self, forecast: Forecast) -> np.ndarray:
        """Return the probability [candidates, points] of dominating points of the box that nothing dominates yet."""
        keys = [objective.key for objective in self._goal.objectives]
        signs = np.where([objective.maximised for objective in self._goal.objectives], -1.0, 1.0)
        best = [self._goal.costs(result.values) for result in front(self._goal, self._results) if result.values]
        points = box_points(*self._box(), self._random.getrandbits(32))
        points = undominated(points, np.array(best).reshape(-1, len(keys))) * signs
        burdens = [[burden(key, value) for value in column] for key, column in zip(keys, points.T, strict=True)]
        places = [self._goal.keys.index(key) for key in keys]
        return reach(np.array(burdens).T, forecast.mean[:, places], forecast.deviation[:, places])

    def _box(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the best and the worst costs that are of interest: around all that was found, within constraints."""
        told = np.array([self._goal.costs(result.values) for result in self._results if result.values is not None])
        low, high = told.min(axis=0), told.max(axis=0)
        margin = MARGIN * np.where(high > low, high - low, 1.0)
        high = high + margin
        for place, objective in enumerate(self._goal.objectives):
            for constraint in self._goal.constraints:
                if constraint.key == objective.key and constraint.at_most != objective.maximised:
                    high[place] = min(high[place], -constraint.limit if objective.maximised else constraint.limit)
        return np.minimum(low, high) - margin, high

    def _log_chances(self, forecast: Forecast, constraints: Sequence[Constraint]) -> np.ndarray:
        """Return the logarithm of the probability [candidates] of keeping constraints."""
        found = np.zeros(len(forecast.mean))
        for constraint in constraints:
            place = self._goal.keys.index(constraint.key)
            distance = burden(constraint.key, constraint.limit) - forecast.mean[:, place]
            upper = constraint.at_most != Objective.parse(constraint.key).maximised
            found += log_ndtr((distance if upper else -distance) / forecast.deviation[:, place])
        return found


def _distances(rows: np.ndarray, row: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(rows - row).sum(axis=1))
