"""Ridge regression whose penalty is chosen by the leave-one-out error, in closed form.

D. Allen, The relationship between variable selection and data augmentation and a method for prediction, 1974 (PRESS).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.predictor.features import Floats

PENALTIES = 10.0 ** np.arange(-8, 3.1, 0.5)  # relative to the mean squared singular value
LARGEST_LEVERAGE = 0.999


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """`intercept + design @ coefficients`; `left_out` (rows,) are the weighted leave-one-out residuals.

    `penalty` is the factor of the coefficients' squares that was chosen.
    """

    intercept: float
    coefficients: Floats
    left_out: Floats
    penalty: float


def fit_ridge(design: Floats, target: Floats, weights: Floats) -> RidgeFit:
    """Minimise the squares of `weights * (target - intercept - design @ coefficients)` plus the chosen penalty.

    The columns of `design` (rows, columns) should be of one scale. The intercept is not penalised: it is projected out.
    """
    norm = float(np.linalg.norm(weights))
    unit = weights / norm
    weighted, goal = design * weights[:, None], target * weights
    centred, centred_goal = weighted - np.outer(unit, unit @ weighted), goal - unit * (unit @ goal)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    along = left.T @ centred_goal
    power = singular**2
    scale = float(power.mean()) or 1.0
    best: tuple[float, Floats, Floats, float] | None = None
    for penalty in PENALTIES * scale:
        kept = power / (power + penalty)
        leverage = np.minimum((left**2 * kept).sum(axis=1) + unit**2, LARGEST_LEVERAGE)
        left_out = (centred_goal - left @ (kept * along)) / (1 - leverage)
        error = float((left_out**2).mean())
        if best is None or error < best[0]:
            best = error, right.T @ (singular / (power + penalty) * along), left_out, penalty
    assert best is not None
    intercept = float(unit @ (goal - weighted @ best[1])) / norm
    return RidgeFit(intercept, *best[1:])
