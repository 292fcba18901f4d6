"""What watches a tensor over many batches, and the range that it then reads: one class a calibration method."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hwloop.exporter.quantize.ranges import Range

BINS = 2048
FIRST_REACH = 2.0**-40
PERCENT = 99.99
LEVELS = 128  # of the distribution that entropy compares with: as many as a signed byte has on one side
STRIDE = 16  # bins between the thresholds that entropy tries


class Observer(Protocol):
    """Watches one tensor."""

    def add(self, values: NDArray[np.float32]) -> None:
        """Take note of the tensor in one batch; there is at least one number, and all are finite."""

    def range(self) -> Range:
        """Return the range that is worth quantizing."""


class MinMax:
    """The range of everything that was seen."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf

    def add(self, values: NDArray[np.float32]) -> None:
        """As `Observer.add`."""
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    def range(self) -> Range:
        """As `Observer.range`."""
        return self.low, self.high


class Histogram(MinMax):
    """Counts numbers in bins over [-reach, reach]; the reach doubles, and bins merge two by two, as numbers ask."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.reach = FIRST_REACH

    def add(self, values: NDArray[np.float32]) -> None:
        """As `Observer.add`."""
        super().add(values)
        while self.reach < max(-self.low, self.high):
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.pad(pairs, BINS // 4)
            self.reach *= 2
        self.counts += np.histogram(values, BINS, (-self.reach, self.reach))[0]

    def cut(self, low: float, high: float) -> Range:
        """Return a range, without what was never seen."""
        return max(self.low, low), min(self.high, high)


class Percentile(Histogram):
    """The range that holds the middle 99.99 % of all numbers, to the width of a bin."""

    def range(self) -> Range:
        """As `Observer.range`."""
        beyond = (1 - PERCENT / 100) / 2
        share = np.cumsum(self.counts) / self.counts.sum()
        edges = np.linspace(-self.reach, self.reach, BINS + 1)
        first, last = np.searchsorted(share, beyond, "right"), np.searchsorted(share, 1 - beyond)
        return self.cut(float(edges[first]), float(edges[last + 1]))


class Entropy(Histogram):
    """The range whose quantized numbers tell most of the real ones: least Kullback-Leibler divergence.

    As Migacz, "8-bit Inference with TensorRT", GTC 2017, describes it, over the magnitudes.
    """

    def range(self) -> Range:
        """As `Observer.range`."""
        half = BINS // 2
        magnitudes = self.counts[half:] + self.counts[:half][::-1]
        best = min(range(LEVELS, half + 1, STRIDE), key=lambda end: divergence(magnitudes, end))
        threshold = self.reach * best / half
        return self.cut(-threshold, threshold)


def divergence(counts: NDArray[np.int64], end: int) -> float:
    """Return how much is lost, in nats, where magnitudes are clipped at the bin `end` and told apart in few levels."""
    kept = counts[:end].astype(np.float64)
    if not kept.any():
        return float("inf")
    level = np.arange(end) * LEVELS // end
    filled = kept > 0
    total, places = np.bincount(level, kept, LEVELS), np.bincount(level, filled, LEVELS)
    seen = np.where(filled, (total / np.maximum(places, 1))[level], 0)
    real = kept.copy()
    real[-1] += counts[end:].sum()
    real, seen = real / real.sum(), seen / seen.sum()
    least = 1 / counts.sum()  # what is taken for a bin that the quantized distribution leaves empty
    return float((real[real > 0] * np.log(real[real > 0] / np.maximum(seen[real > 0], least))).sum())
