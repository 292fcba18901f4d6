"""What other devices say about a network, as features in which a new device is nearly linear.

Logarithms of latencies on D known devices are split by principal components: a device is the devices' mean, plus
scores times components, and the scores of known devices have mean 0 and variance 1. A new device is a draw from the
same. What the components leave out of the networks' own encoding follows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hwloop.predictor.base import State
from hwloop.predictor.features import Floats
from hwloop.predictor.standard import Standard
from hwloop.predictor.trimming import robust_deviation

MOST_COMPONENTS = 10
IMPOSSIBLE = 6.0  # robust deviations from what the other devices say
ROUNDS = 5


@dataclass(frozen=True, eq=False)
class Plausible:
    """Replaces impossible latencies of a device by what the median device says, times a power of it.

    `lines` (3, devices) are slope, intercept, and the largest plausible distance, of logarithms.
    """

    centre: Floats
    lines: Floats

    @classmethod
    def of(cls, logs: Floats) -> Plausible:
        """Learn what is plausible from logarithms of latencies (rows, devices)."""
        centre = np.median(logs, axis=0)
        usual = np.median(logs - centre, axis=1)
        return cls(centre, np.array([_robust_line(usual, column) for column in logs.T]).T)

    def __call__(self, logs: Floats) -> Floats:
        """Return the logarithms with impossible ones replaced; these may be minus infinity or NaN."""
        slope, intercept, reach = self.lines
        usual = np.nanmedian(np.where(np.isfinite(logs), logs, np.nan) - self.centre, axis=1)
        expected = usual[:, None] * slope + intercept
        return np.where(np.abs(logs - expected) <= reach, logs, expected)


def _robust_line(usual: Floats, column: Floats) -> tuple[float, float, float]:
    kept = np.isfinite(column)
    slope, intercept, deviation = 1.0, 0.0, np.inf
    for _ in range(ROUNDS):
        slope, intercept = np.polyfit(usual[kept], column[kept], 1)
        distance = column - slope * usual - intercept
        deviation = max(robust_deviation(distance[kept]), 1e-3)
        kept = np.abs(distance) <= 3 * deviation
    return float(slope), float(intercept), IMPOSSIBLE * deviation


@dataclass(frozen=True, eq=False)
class SourceBasis:
    """Features of rows: one, the devices' mean, components, and what is left of the encoding.

    `groups` (features,) tells these apart by 0, 1, 2, 3. `scores` (devices, features) are where the known devices
    stand.
    """

    plausible: Plausible
    centre: Floats  # (devices,) of logarithms
    components: Floats  # (devices, components)
    encoding: Standard
    explained: Floats  # (2 + components, encoding columns): what the rest says about the encoding
    groups: Floats
    scores: Floats

    @classmethod
    def of(cls, logs: Floats, encoding: Floats) -> SourceBasis:
        """Learn the basis from logarithms of latencies (rows, devices) and encodings (rows, columns)."""
        devices = logs.shape[1]
        plausible = Plausible.of(logs)
        logs = plausible(logs)
        centre = logs.mean(axis=0)
        mean = (logs - centre).mean(axis=1)
        _, _, right = np.linalg.svd(logs - centre - mean[:, None], full_matrices=False)
        count = min(MOST_COMPONENTS, devices - 2 if devices > 2 else devices - 1)  # the last of many is noise
        components = right[:count].T / np.sqrt(devices)
        standard = Standard.of(encoding)
        basis = np.column_stack([np.ones(len(logs)), mean, (logs - centre - mean[:, None]) @ components])
        explained = np.linalg.lstsq(basis, standard(encoding), rcond=None)[0]
        groups = np.array([0, 1] + [2] * count + [3] * encoding.shape[1], float)
        scores = np.zeros((devices, len(groups)))
        scores[:, 0], scores[:, 1], scores[:, 2 : 2 + count] = centre, 1.0, components * devices
        return cls(plausible, centre, components, standard, explained, groups, scores)

    def __call__(self, logs: Floats, encoding: Floats) -> Floats:
        """Return the features (rows, features) of rows."""
        logs = self.plausible(logs) - self.centre
        mean = logs.mean(axis=1)
        basis = np.column_stack([np.ones(len(logs)), mean, (logs - mean[:, None]) @ self.components])
        left = self.encoding(encoding) - basis @ self.explained
        return np.column_stack([basis, left / np.sqrt(max(1, left.shape[1]))])

    def state(self) -> State:
        """Return what was learned as arrays."""
        return {
            "plausible": np.vstack([self.plausible.centre, self.plausible.lines]),
            "centre": self.centre,
            "components": self.components,
            "encoding": np.stack([self.encoding.mean, self.encoding.factor]),
            "explained": self.explained,
            "groups": self.groups,
            "scores": self.scores,
        }

    @classmethod
    def restore(cls, state: State) -> Self:
        """Return the basis whose `state` that was."""
        arrays = {name: value.astype(float) for name, value in state.items()}
        plausible = arrays.pop("plausible")
        return cls(Plausible(plausible[0], plausible[1:]), encoding=Standard(*arrays.pop("encoding")), **arrays)
