"""Columns brought to one scale."""

from __future__ import annotations

import numpy as np

from hwloop.predictor.features import Floats


class Standard:
    """Shifts and scales columns to mean 0 and deviation 1; constant columns become 0."""

    def __init__(self, mean: Floats, factor: Floats) -> None:
        self.mean, self.factor = mean, factor

    @classmethod
    def of(cls, values: Floats) -> Standard:
        """Return the standard of columns (rows, columns)."""
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        constant = deviation <= 1e-9 * (np.abs(mean) + np.abs(values).max(axis=0, initial=0.0))
        return cls(mean, np.where(constant, 0.0, 1 / np.where(constant, 1.0, deviation)))

    def __call__(self, values: Floats) -> Floats:
        """Return columns (rows, columns) standardised."""
        return (values - self.mean) * self.factor
