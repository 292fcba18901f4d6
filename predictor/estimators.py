"""The estimators there are, by name, and those that suit given features."""

from __future__ import annotations

from hwloop.predictor.base import Estimator
from hwloop.predictor.boosting import Boosting
from hwloop.predictor.features import Features
from hwloop.predictor.gaussian_process import GaussianProcess
from hwloop.predictor.kernel_sum import KernelSum
from hwloop.predictor.polynomial import Linear, LogQuadratic, Quadratic

ESTIMATORS: dict[str, type[Estimator]] = {
    Linear.name: Linear,
    Quadratic.name: Quadratic,
    LogQuadratic.name: LogQuadratic,
    GaussianProcess.name: GaussianProcess,
    Boosting.name: Boosting,
    KernelSum.name: KernelSum,
}
LEAST_ROWS_FOR_TREES = 50


def suitable(features: Features) -> tuple[str, ...]:
    """Return the names of the estimators that can learn from these features."""
    names = [name for name in ESTIMATORS if name != KernelSum.name and features.columns]
    if len(features) < LEAST_ROWS_FOR_TREES and Boosting.name in names:
        names.remove(Boosting.name)
    if features.kernels is not None and {"operations", "bytes"} <= set(features.kernels.columns):
        names.append(KernelSum.name)
    return tuple(names)
