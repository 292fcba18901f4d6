"""Which rows to measure next: those that leave the least uncertainty about all others.

Greedy A-optimal design (K. Chaloner and I. Verdinelli, Bayesian experimental design: a review, 1995): each row in turn
is the one that takes most off the predictive variance, summed over the rows that matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import UsageError
from hwloop.predictor.features import Floats


def most_informative(
    features: Floats, variances: Floats, count: int, *, noise: float, measured: Floats | None = None
) -> NDArray[np.intp]:
    """Return `count` rows of `features` (rows, columns) to measure, the most informative first.

    A latency is features times coefficients, whose prior variances are `variances` (columns,), plus noise of variance
    `noise`. `measured` (m, columns) are features of rows that have been measured already. Raises UsageError where
    there are fewer rows than asked for.
    """
    if count > len(features):
        raise UsageError(f"{count} rows to choose from {len(features)}", remedy="Give more candidates.")
    scaled = features * np.sqrt(variances)
    matter = scaled.T @ scaled / len(scaled)
    covariance: NDArray[np.floating] = np.eye(scaled.shape[1])
    if measured is not None and len(measured):
        known = measured * np.sqrt(variances)
        covariance = np.linalg.inv(covariance + known.T @ known / noise)
    chosen: list[int] = []
    for _ in range(count):
        response = scaled @ covariance
        gain = ((response @ matter) * response).sum(axis=1) / ((response * scaled).sum(axis=1) + noise)
        gain[chosen] = -np.inf
        best = int(np.argmax(gain))
        chosen.append(best)
        covariance = covariance - np.outer(response[best], response[best]) / (response[best] @ scaled[best] + noise)
    return np.array(chosen, np.intp)
