"""A Gaussian process that says how sure it is, of any quantity: what a search asks while it has few results.

The covariance is gaussian_process.py's. Its deviations are calibrated without belief in them: each result is predicted
from all others, which a Gaussian process does in closed form (C. Rasmussen and C. Williams, Gaussian Processes for
Machine Learning, 2006, section 5.4.2), and a conformal quantile of how many deviations they were off scales all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve

from hwloop.predictor.conformal import conformal_quantile
from hwloop.predictor.features import Floats
from hwloop.predictor.gaussian_process import Covariance, noisy_factor, tuned_covariance
from hwloop.predictor.standard import Standard

CONFIDENCE = 0.9
DEVIATIONS = 1.645  # that hold 90 % of a normal distribution
SCALES = (0.7, 2.5)  # a scale from a dozen results may be far off


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is known of a quantity after some results; made by `of`."""

    standard: Standard
    covariance: Covariance
    rows: Floats  # those learned from, standardised
    inverse: Floats  # of their covariance with noise
    weights: Floats
    noise: float
    centre: float
    spread: float
    scale: float  # of the deviations, by calibration

    @classmethod
    def of(cls, features: Floats, target: Floats) -> Posterior:
        """Learn from features [rows, columns] and what was found [rows]; two rows at least."""
        standard = Standard.of(features)
        rows = standard(features)
        centre, spread = float(target.mean()), float(target.std()) or 1.0
        found = (target - centre) / spread
        ones = np.ones(len(found))
        covariance, noise = tuned_covariance(rows, found, ones) if found.any() else (_flat(rows.shape[1]), 1e-4)
        factor = noisy_factor(covariance(rows, rows), noise)
        inverse = np.asarray(cho_solve(factor, np.eye(len(found))))
        weights = inverse @ found
        left_out = np.abs(weights) / np.sqrt(np.diag(inverse))  # residuals of rows left out, in their deviations
        scale = float(np.clip(conformal_quantile(left_out, CONFIDENCE) / DEVIATIONS, *SCALES))
        return cls(standard, covariance, rows, inverse, weights, noise, centre, spread, scale)

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Return means and deviations [rows] of what would be found for features [rows, columns]."""
        asked = self.standard(features)
        between = self.covariance(asked, self.rows)
        mean = between @ self.weights
        own = 1.0 + (asked**2 * self.covariance.slopes).sum(axis=1) + self.covariance.amplitude
        variance = np.maximum(own - ((between @ self.inverse) * between).sum(axis=1), 0) + self.noise
        return self.centre + self.spread * mean, self.spread * self.scale * np.sqrt(variance)


def _flat(columns: int) -> Covariance:
    """Return the covariance of a quantity that was always the same."""
    return Covariance(np.full(columns, 1e-3), np.full(columns, 1e-3), 1e-3)
