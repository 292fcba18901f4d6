"""Which rows are unlike those that a model has learned from, and by how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.predictor.features import Features, Floats, KernelTable

MARGIN = 0.1  # of a column's range, still held to be inside it
WIDER_OUTSIDE = 4.0  # times wider is an interval, for each range outside
WIDEST = float(np.log(1000.0))  # of half an interval: what may span a million is not known at all
NAMED = 5  # so many columns or kinds are named in a warning


@dataclass(frozen=True, eq=False)
class Range:
    """The least and the most of each column, and the kinds of kernels, that were seen."""

    low: Floats
    high: Floats
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, features: Features) -> Range:
        """Return the range of features that are learned from."""
        kinds = features.kernels.kinds if features.kernels else ()
        return cls(features.values.min(axis=0), features.values.max(axis=0), kinds)

    def excess(self, features: Features, kernels: KernelTable | None = None) -> tuple[Floats, tuple[str, ...]]:
        """Return how far each row lies outside, in ranges (0 inside), and warnings in words.

        The share of a row's `kernels` that are of unknown kinds counts like ranges.
        """
        span = self.high - self.low
        unit = np.where(span > 0, span, np.maximum(np.abs(self.high), 1e-12))
        beyond = np.maximum(np.maximum(self.low - features.values, features.values - self.high), 0) / unit
        beyond = np.where(beyond > np.where(span > 0, MARGIN, 1e-9), beyond, 0)
        excess = beyond.max(axis=1, initial=0.0)
        warnings = []
        outside = np.flatnonzero(beyond.any(axis=0))
        if len(outside):
            names = ", ".join(features.columns[column] for column in outside[:NAMED])
            rows = int((excess > 0).sum())
            warnings.append(f"{rows} of {len(features)} rows lie outside what was measured: {names}")
        if kernels is not None:
            strange = kernels.spoken(self.kinds).kind < 0
            unknown = np.bincount(kernels.row[strange], minlength=kernels.rows)
            excess = excess + unknown / np.maximum(np.bincount(kernels.row, minlength=kernels.rows), 1)
            if strange.any():
                names = ", ".join(kernels.kinds[kind] for kind in np.unique(kernels.kind[strange])[:NAMED])
                rows = int((unknown > 0).sum())
                warnings.append(f"{rows} of {len(features)} rows have kernels never measured: {names}")
        return excess, tuple(warnings)
