"""How sure a difference is, when it was seen in several independent sets.

The estimate is the median of all pairwise means, the interval that of Wilcoxon's signed-rank test
(J. Hodges and E. Lehmann, Estimates of location based on rank tests, 1963). It holds for every distribution
that is symmetric: were two contestants alike, swapping their names in a set would change nothing, so under that
hypothesis symmetry is certain, however uneven the machine's load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Location:
    """Where values lie, in their unit, with the interval that covers the truth with the confidence asked."""

    estimate: float
    low: float
    high: float


def least_sets(confidence: float) -> int:
    """Return how many values are needed before any interval has the confidence asked."""
    count = 1
    while 2 * 0.5**count > 1 - confidence:
        count += 1
    return count


def locate(values: Sequence[float], confidence: float) -> Location | None:
    """Return the Hodges-Lehmann estimate of `values` with its interval; None where they are too few for one."""
    import numpy as np

    count = len(values)
    cut = _cut(count, (1 - confidence) / 2)
    if cut == 0:
        return None
    sums = np.add.outer(np.asarray(values, float), np.asarray(values, float)) / 2
    means = np.sort(sums[np.triu_indices(count)])
    return Location(float(np.median(means)), float(means[cut - 1]), float(means[-cut]))


def _cut(count: int, risk: float) -> int:
    """Return how many pairwise means from either end the interval begins; 0 where it would have no end.

    That is the largest c for which the signed-rank statistic is below c with a probability of at most `risk`.
    """
    import numpy as np

    largest = count * (count + 1) // 2
    chances = np.zeros(largest + 1)
    chances[0] = 1.0
    for rank in range(1, count + 1):
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[: largest + 1 - rank]
        chances = (chances + shifted) / 2
    return int(np.searchsorted(np.cumsum(chances), risk * (1 + 1e-9), side="right"))
