"""A Gaussian process on relative errors: a sum of features, plus a smooth function of them.

C. Rasmussen and C. Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5. The covariance is
constant + linear + squared exponential, with a relevance for each feature in both, so that a latency that is a plain
sum of terms costs few rows, and one that is not is still learned. The noise is a share of the latency. The
hyperparameters are those most probable under broad priors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from hwloop.predictor.base import State
from hwloop.predictor.features import Features, Floats
from hwloop.predictor.polynomial import LOWEST_SHARE
from hwloop.predictor.standard import Standard

MOST_ROWS_TO_TUNE = 300  # hyperparameters are learned from so many rows, latencies from all
MOST_STEPS = 60
PRIOR_SLOPE = (-1.5, 1.0)  # mean and deviation of the logarithm, for standardised features and latencies
PRIOR_LENGTH = (1.2, 1.0)
PRIOR_AMPLITUDE = (-1.0, 1.5)
PRIOR_NOISE = (-2.3, 2.0)  # relative to the deviation of the latencies
LEAST_NOISE = 1e-4
JITTER = 1e-10  # share of a covariance's diagonal that keeps it positive where columns are collinear


@dataclass(frozen=True, eq=False)
class Covariance:
    """The covariance of standardised features, before noise."""

    slopes: Floats  # variance of each feature's slope
    lengths: Floats  # one over the square of each feature's length
    amplitude: float  # variance of the smooth part

    def __call__(self, left: Floats, right: Floats) -> Floats:
        """Return the covariances of rows of `left` with rows of `right`."""
        return np.asarray(1.0 + (left * self.slopes) @ right.T + self.smooth(left, right))

    def smooth(self, left: Floats, right: Floats) -> Floats:
        """Return the smooth part alone."""
        near = left * self.lengths
        distance = (near * left).sum(axis=1)[:, None] + (right**2 * self.lengths).sum(axis=1) - 2 * near @ right.T
        return np.asarray(self.amplitude * np.exp(-0.5 * np.maximum(distance, 0)))


class GaussianProcess:
    """Constant + linear + squared exponential, with a relevance for each feature."""

    name: ClassVar[str] = "gaussian-process"

    def fit(self, features: Features, latencies_ms: Floats) -> None:
        """Learn; see `Estimator`."""
        self._standard = Standard.of(features.values)
        self._rows = self._standard(features.values)
        self._unit_ms = float(np.exp(np.log(latencies_ms).mean()))
        relative = latencies_ms / self._unit_ms
        self._lowest = LOWEST_SHARE * float(relative.min())
        self._centre = float(np.average(relative, weights=relative**-2))
        self._spread = float(np.sqrt(np.average((relative - self._centre) ** 2, weights=relative**-2)))
        # Divided by the latency, relative noise becomes even noise.
        scale = self._spread / relative
        target = (relative - self._centre) / relative
        chosen = np.random.default_rng(0).permutation(len(target))[:MOST_ROWS_TO_TUNE]
        self._covariance, noise = tuned_covariance(self._rows[chosen], target[chosen], scale[chosen])
        covariance = self._covariance(self._rows, self._rows) * np.outer(scale, scale)
        self._weights = scale * cho_solve(noisy_factor(covariance, noise), target)

    def predict_ms(self, features: Features) -> Floats:
        """Return latencies; see `Estimator`."""
        value: Floats = self._covariance(self._standard(features.values), self._rows) @ self._weights
        return self._unit_ms * np.maximum(self._centre + self._spread * value, self._lowest)

    def state(self) -> State:
        """Return what was learned; see `Estimator`."""
        return {
            "standard": np.stack([self._standard.mean, self._standard.factor]),
            "rows": self._rows,
            "weights": self._weights,
            "relevance": np.stack([self._covariance.slopes, self._covariance.lengths]),
            "numbers": np.array([self._unit_ms, self._lowest, self._centre, self._spread, self._covariance.amplitude]),
        }

    @classmethod
    def restore(cls, state: State) -> Self:
        """Return the estimator whose `state` that was."""
        new = cls()
        new._standard = Standard(*state["standard"].astype(float))
        new._rows, new._weights = state["rows"].astype(float), state["weights"].astype(float)
        slopes, lengths = state["relevance"].astype(float)
        new._unit_ms, new._lowest, new._centre, new._spread, amplitude = (float(each) for each in state["numbers"])
        new._covariance = Covariance(slopes, lengths, amplitude)
        return new


def noisy_factor(covariance: Floats, noise: float) -> tuple[Floats, bool]:
    """Return the Cholesky factor of a covariance with noise on its diagonal, which is changed in place."""
    places = np.diag_indices_from(covariance)
    covariance[places] += noise + JITTER * covariance[places].mean()
    factor: tuple[Floats, bool] = cho_factor(covariance, lower=True)
    return factor


def tuned_covariance(rows: Floats, target: Floats, scale: Floats) -> tuple[Covariance, float]:
    """Return the most probable covariance and noise variance of `target`, the values times `scale` plus noise."""
    columns = rows.shape[1]
    squares = (rows[:, None, :] - rows[None]) ** 2
    scales = np.outer(scale, scale)
    noise_mean = PRIOR_NOISE[0] + float(np.log(target.std()))
    priors = [PRIOR_SLOPE] * columns + [PRIOR_LENGTH] * columns + [PRIOR_AMPLITUDE, (noise_mean, PRIOR_NOISE[1])]
    centre, width = np.array(priors).T
    identity = np.eye(len(target))

    def unpacked(point: Floats) -> tuple[Covariance, float]:
        slopes, lengths = np.exp(2 * point[:columns]), np.exp(-2 * point[columns : 2 * columns])
        return Covariance(slopes, lengths, float(np.exp(2 * point[-2]))), float(np.exp(2 * point[-1])) + LEAST_NOISE**2

    def improbability(point: Floats) -> tuple[float, Floats]:
        covariance, noise = unpacked(point)
        smooth = covariance.smooth(rows, rows) * scales
        linear = (1.0 + (rows * covariance.slopes) @ rows.T) * scales
        factor = noisy_factor(linear + smooth, noise)
        solved, inverse = cho_solve(factor, target), cho_solve(factor, identity)
        value = 0.5 * target @ solved + np.log(np.diag(factor[0])).sum() + 0.5 * (((point - centre) / width) ** 2).sum()
        pull = inverse - np.outer(solved, solved)  # twice the derivative by each covariance
        slope = np.empty_like(point)
        slope[:columns] = covariance.slopes * np.einsum("ij,ij->j", rows, (pull * scales) @ rows)
        slope[columns : 2 * columns] = 0.5 * covariance.lengths * np.einsum("ij,ijk->k", pull * smooth, squares)
        slope[-2] = (pull * smooth).sum()
        slope[-1] = (noise - LEAST_NOISE**2) * np.trace(pull)
        return float(value), slope + (point - centre) / width**2

    bounds = list(zip(centre - 6 * width, centre + 6 * width, strict=True))
    found = minimize(improbability, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": MOST_STEPS})
    return unpacked(found.x)
