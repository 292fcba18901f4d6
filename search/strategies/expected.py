"""How much hypervolume candidates can be expected to add: which of them the intervals leave open.

The expected hypervolume improvement (M. Emmerich, K. Giannakoglou and B. Naujoks, Single- and multiobjective
evolutionary optimization assisted by Gaussian random field metamodels, 2006) is the integral, over what the front does
not dominate yet, of the probability that a candidate will. Here the integral is a mean over points of the box, and
objectives are independent given the candidate. A batch is chosen one by one: where a chosen candidate will probably
dominate, others add less.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr
from scipy.stats import qmc

POINTS = 4096  # a power of two, as Sobol's sequence wants
LEAST = 1e-12  # below which a score tells nothing


def box_points(low: np.ndarray, high: np.ndarray, seed: int) -> np.ndarray:
    """Return points [points, objectives] that fill a box evenly (I. Sobol, 1967; scrambled by the seed)."""
    unit = qmc.Sobol(len(low), rng=np.random.default_rng(seed)).random(POINTS)
    return np.asarray(low + unit * (high - low))


def undominated(points: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Return the points [points, objectives] that no row of a front [rows, objectives] dominates."""
    covered = np.zeros(len(points), bool)
    for costs in front:
        covered |= (costs <= points).all(axis=1)
    return points[~covered]


def reach(points: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return the probability [candidates, points] that a candidate's costs are no worse than a point's in any.

    Costs of candidates are normal, with `mean` and `deviation` [candidates, objectives].
    """
    probability = np.ones((len(mean), len(points)))
    for column in range(points.shape[1]):
        distance = points[None, :, column] - mean[:, None, column]
        probability *= ndtr(distance / deviation[:, None, column])
    return probability


def choose(probability: np.ndarray, chances: np.ndarray, count: int) -> list[int]:
    """Return up to `count` places of candidates, each the one that is expected to add most to those before it.

    `probability` [candidates, points] is that of dominating each point, `chances` [candidates] that of being feasible.
    It ends where nothing is expected to add anything.
    """
    gain = probability * chances[:, None]
    left = np.ones(probability.shape[1])  # the probability that a point is not dominated yet
    chosen: list[int] = []
    while len(chosen) < min(count, len(gain)):
        scores = gain @ left
        scores[chosen] = 0
        best = int(scores.argmax())
        if scores[best] < LEAST * max(len(left), 1):
            break
        chosen.append(best)
        left *= 1 - gain[best]
    return chosen
