"""Which measured rows not to learn from: those taken while the device ran slow, or fast.

Such rows come in runs, are often a fifth of all, and nothing in them says so. A plain model is fitted again and again
to the rows whose leave-one-out residuals lie closest together, 60 % of all (P. Rousseeuw and K. Van Driessen,
Computing LTS regression for large data sets, 2006, call it concentration). From there the set grows: all rows within
four robust deviations are taken, until nothing changes. Growing from inside, it stops at a gap that an outer limit
would leap. The plain models are a linear and a quadratic one; the one with the smaller residuals decides. The limits
are wide for clean data: 0.006 % of normal residuals lie beyond them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwloop.predictor.features import Features, Floats
from hwloop.predictor.polynomial import Linear, Quadratic
from hwloop.predictor.standard import Standard

DEVIATIONS = 4.0
CONCENTRATED_SHARE = 0.6
ROUNDS_INSIDE = 10
ROWS_FOR_A_TERM = 1.5  # a model with more terms than 60 % of the rows carry decides nothing
MOST_ROUNDS = 30
LEAST_ROWS_TO_TRIM = 20
LEAST_SHARE_KEPT = 0.5  # a majority is what the rows are held to belong to
NORMAL_DEVIATION = 1.4826  # of one median absolute deviation


def robust_deviation(residuals: Floats) -> float:
    """Return the deviation of normal residuals that have this median absolute deviation."""
    return NORMAL_DEVIATION * float(np.median(np.abs(residuals - np.median(residuals))))


def within(residuals: Floats, among: NDArray[np.bool_], deviations: float = DEVIATIONS) -> NDArray[np.bool_]:
    """Return which residuals lie within so many robust deviations of those `among`; at least the nearest half."""
    centre = float(np.median(residuals[among]))
    distance = np.abs(residuals - centre)
    reach = max(deviations * robust_deviation(residuals[among]), float(np.quantile(distance, LEAST_SHARE_KEPT)))
    return distance <= reach * (1 + 1e-9)


def densest(residuals: Floats, share: float) -> NDArray[np.bool_]:
    """Return the rows of the shortest interval that holds so large a share of residuals."""
    ordered = np.sort(residuals)
    count = int(np.ceil(share * len(ordered)))
    start = int(np.argmin(ordered[count - 1 :] - ordered[: len(ordered) - count + 1]))
    return np.asarray((residuals >= ordered[start]) & (residuals <= ordered[start + count - 1]))


def trimmed(features: Features, latencies_ms: Floats) -> NDArray[np.bool_]:
    """Return which rows to learn from."""
    everything = np.ones(len(features), bool)
    if len(features) < LEAST_ROWS_TO_TRIM or not features.columns:
        return everything
    features = _fewer_columns(features, int(CONCENTRATED_SHARE * len(features) / ROWS_FOR_A_TERM))
    tried = [_concentrated(plain(), features, latencies_ms) for plain in (Linear, Quadratic)]
    return min(tried, key=lambda each: each[0])[1]


def _fewer_columns(features: Features, most: int) -> Features:
    """Return features whose columns are the leading principal components where there are more than `most`.

    Columns of kernels are many, and say much the same.
    """
    if features.values.shape[1] <= most:
        return features
    standard = Standard.of(features.values)(features.values)
    left, singular, _ = np.linalg.svd(standard, full_matrices=False)
    return Features(tuple(f"component {index}" for index in range(most)), left[:, :most] * singular[:most])


def _concentrated(
    plain: Linear | Quadratic, features: Features, latencies_ms: Floats
) -> tuple[float, NDArray[np.bool_]]:
    """Return the robust deviation of the residuals that are left in the end, and which rows these are of."""
    kept = np.ones(len(features), bool)
    for step in range(MOST_ROUNDS):
        plain.fit(features.take(kept), latencies_ms[kept])
        residuals = np.log(latencies_ms / plain.predict_ms(features))
        residuals[kept] = -np.log(np.maximum(1 - plain.left_out, 1e-3))
        if CONCENTRATED_SHARE * len(kept) < ROWS_FOR_A_TERM * plain.terms:
            return np.inf, np.ones(len(features), bool)
        inside = step < ROUNDS_INSIDE
        now = densest(residuals, CONCENTRATED_SHARE) if inside else within(residuals, kept)
        if not inside and (now == kept).all():
            break
        kept = now
    return robust_deviation(residuals[kept]), kept
