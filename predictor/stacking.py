"""Weights for estimators, from their errors on rows that they had not seen.

L. Breiman, Stacked regressions, 1996: weights that are not negative, chosen on held-out predictions; here of
logarithms, and with sum 1, so that latencies times c give predictions times c.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from hwloop.predictor.features import Floats

LEAST_ROWS_TO_WEIGH = 30  # with fewer, weights follow the noise: the best estimator is taken alone
NEGLIGIBLE = 0.02


def folds_of(rows: int, folds: int, seed: int) -> NDArray[np.intp]:
    """Return for each row the fold that it is held out in; folds differ by one row at most."""
    return np.random.default_rng(seed).permutation(np.arange(rows) % folds)


def stacked_weights(held_out_log: Floats, measured_log: Floats) -> Floats:
    """Return the weight of each estimator, from held-out predictions (rows, estimators) of `measured_log` (rows,)."""
    errors = np.abs(held_out_log - measured_log[:, None]).mean(axis=0)
    best: Floats = np.eye(len(errors))[int(np.argmin(errors))]
    if len(measured_log) < LEAST_ROWS_TO_WEIGH:
        return best
    distance = held_out_log - measured_log[:, None]
    heavy = 1e3 * max(float(np.abs(distance).max()), 1e-12) * np.sqrt(len(distance))
    weights = nnls(np.vstack([distance, np.full((1, len(best)), heavy)]), np.append(np.zeros(len(distance)), heavy))[0]
    weights[weights < NEGLIGIBLE] = 0
    if weights.sum() == 0:
        return best
    return np.asarray(weights / weights.sum(), float)
