"""Which rows to measure next: those that leave the least uncertainty about all others.

Greedy A-optimal design (K. Chaloner and I. Verdinelli, Bayesian experimental design: a review, 1995): each row in turn
is the one that takes most off the predictive variance, summed over the rows that matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import UsageError
from hwloop.predictor.checks import check_columns
from hwloop.predictor.features import Features, Floats
from hwloop.predictor.standard import Standard

TYPICAL_NOISE = 0.05  # of a latency, relative to the effect of one deviation of a feature


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


def next_to_measure(candidates: Features, count: int, measured: Features | None = None) -> NDArray[np.intp]:
    """Return which candidates to measure next, the most informative first, `measured` ones being known already.

    Latency is taken as a sum over standardised columns, and over kernels by their kinds, each weighing the same: what
    is chosen are candidates that differ, in what differs among many. Raises UsageError where there are fewer
    candidates than asked for, or columns differ.
    """
    kinds = candidates.kernels.kinds if candidates.kernels else ()
    values = candidates.with_totals(kinds).values
    standard = Standard.of(values)
    known = None
    if measured is not None and len(measured):
        check_columns(candidates.columns, measured)
        known = _with_one(standard(measured.with_totals(kinds).values))
    scaled = _with_one(standard(values))
    return most_informative(scaled, np.ones(scaled.shape[1]), count, noise=TYPICAL_NOISE, measured=known)


def _with_one(values: Floats) -> Floats:
    return np.column_stack([np.ones(len(values)), values])
