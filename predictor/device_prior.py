"""Where a new device may stand, given where known devices stand: a mixture of normal distributions.

A device is a vector of coefficients of a `SourceBasis`. It may stand anywhere among the known ones, or near one of
them. Which, and how loud its noise is, the evidence of its few measurements tells (C. Bishop, Pattern Recognition and
Machine Learning, 2006, chapter 3): everything is linear and normal, so nothing has to be searched for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from hwloop.predictor.base import State
from hwloop.predictor.features import Floats

NOISES = np.geomspace(0.005, 0.3, 9)  # deviations of logarithms
NEARNESS = (0.4, 0.15)  # of the deviations among all devices, around one that is known
OFFSET_VARIANCE = 9.0  # of logarithms: a device may be some hundred times faster or slower
NEGLIGIBLE = 1e-3


@dataclass(frozen=True)
class Deviations:
    """How far coefficients spread: of the devices' mean, of the components, of the encoding."""

    mean: float = 0.15
    components: float = 1.0
    encoding: float = 0.03

    def variances(self, groups: Floats) -> Floats:
        """Return the variance of each feature's coefficient; that of the offset is 0 here."""
        of_group = np.array([0.0, self.mean**2, self.components**2, self.encoding**2])
        return np.asarray(of_group[groups.astype(int)])


@dataclass(frozen=True, eq=False)
class Standing:
    """Where a device stands after some measurements: hypotheses with weights (h,).

    Each has coefficients (h, features), a covariance (h, features, features), and a variance of noise (h,).
    """

    weights: Floats
    coefficients: Floats
    covariances: Floats
    noises: Floats

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Return the mean and the deviation, noise included, of the logarithm for rows (rows, features)."""
        means = features @ self.coefficients.T
        mean: Floats = means @ self.weights
        own = np.stack([((features @ each) * features).sum(axis=1) for each in self.covariances], axis=1) + self.noises
        return mean, np.sqrt((own + (means - mean[:, None]) ** 2) @ self.weights)

    def state(self) -> State:
        """Return what is known as arrays."""
        return vars(self)


@dataclass(frozen=True, eq=False)
class DevicePrior:
    """Known devices' coefficients (devices, features), and the spread of devices (features,), as variances."""

    scores: Floats
    variances: Floats

    def _centres(self) -> list[tuple[float, Floats]]:
        """Return the shares of the deviations, with the centres (centres, features) that they hold around."""
        everyone = np.zeros((1, self.scores.shape[1]))
        everyone[0, 0], everyone[0, 1] = self.scores[:, 0].mean(), 1.0
        return [(1.0, everyone), *((share, self.scores) for share in NEARNESS)]

    def _covariance(self, share: float) -> Floats:
        variances = share**2 * self.variances
        variances[0] = OFFSET_VARIANCE
        return variances

    def log_evidence(self, features: Floats, logs: Floats) -> list[Floats]:
        """Return for each share of the deviations the log evidence of (centres, noises), prior weights included."""
        found = []
        for share, centres in self._centres():
            power, axes = np.linalg.eigh((features * self._covariance(share)) @ features.T)
            along = ((logs - centres @ features.T) @ axes) ** 2
            total = np.maximum(power, 0)[:, None] + NOISES**2
            evidence = -0.5 * (along @ (1 / total) + np.log(total).sum(axis=0))
            found.append(evidence - np.log(len(centres) * len(NOISES) * (1 + len(NEARNESS))))
        return found

    def total_log_evidence(self, features: Floats, logs: Floats) -> float:
        """Return how probable measurements (rows,) are, all hypotheses taken together."""
        return float(logsumexp(np.concatenate([each.ravel() for each in self.log_evidence(features, logs)])))

    def left_out(self, features: Floats, logs: Floats) -> Floats:
        """Return how many deviations each measurement (rows,) lies from what the others predict, in closed form.

        With P the inverse covariance of all, a row left out is predicted with the variance 1 / P_ii, at a distance
        of (P r)_i / P_ii (Rasmussen and Williams, 5.12); its own share of the evidence is taken away again.
        """
        logs_of_weight, distances, variances = [], [], []
        for (share, centres), evidence in zip(self._centres(), self.log_evidence(features, logs), strict=True):
            power, axes = np.linalg.eigh((features * self._covariance(share)) @ features.T)
            along = (logs - centres @ features.T) @ axes
            inverse = 1 / (np.maximum(power, 0)[:, None] + NOISES**2)
            own = 1 / np.broadcast_to(axes**2 @ inverse, (len(centres), len(logs), len(NOISES)))
            distance = np.einsum("ij,cj,jn->cin", axes, along, inverse) * own
            logs_of_weight.append(evidence[:, None, :] + 0.5 * (distance**2 / own + np.log(own)))
            distances.append(distance)
            variances.append(own)
        weight = np.concatenate(logs_of_weight)
        weight = np.exp(weight - logsumexp(weight, axis=(0, 2), keepdims=True))
        distance, variance = np.concatenate(distances), np.concatenate(variances)
        mean = (weight * distance).sum(axis=(0, 2))
        spread = (weight * (variance + (distance - mean[:, None]) ** 2)).sum(axis=(0, 2))
        return np.asarray(np.abs(mean) / np.sqrt(spread))

    def standing(self, features: Floats, logs: Floats) -> Standing:
        """Return where a device stands whose logarithms of latencies were measured at rows (rows, features)."""
        evidences = self.log_evidence(features, logs)
        total = logsumexp(np.concatenate([each.ravel() for each in evidences]))
        weights, coefficients, covariances, noises = [], [], [], []
        for (share, centres), evidence in zip(self._centres(), evidences, strict=True):
            prior = self._covariance(share)
            for place, noise in np.argwhere(np.exp(evidence - total) > NEGLIGIBLE):
                spread = features * prior
                gain = np.linalg.solve(spread @ features.T + NOISES[noise] ** 2 * np.eye(len(logs)), spread).T
                weights.append(np.exp(evidence[place, noise] - total))
                coefficients.append(centres[place] + gain @ (logs - features @ centres[place]))
                covariances.append(np.diag(prior) - gain @ spread)
                noises.append(NOISES[noise] ** 2)
        shares = np.array(weights)
        return Standing(shares / shares.sum(), np.array(coefficients), np.array(covariances), np.array(noises))
