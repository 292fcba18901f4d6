"""How sure a median or a percentile is, when calls come in processes.

Calls of one process resemble each other more than calls of another process do, so N calls are worth fewer
than N. The design effect `1 + (m - 1) * ICC` (L. Kish, Survey Sampling, 1965) says how many fewer: m is the
calls per process, ICC the intraclass correlation, here from a one-way analysis of variance on the *ranks* of
the calls, so that one call of a second does not decide. The interval of the median is that of order
statistics at the size that is left. The between-process variance is known from as many processes as ran: a
Student factor by Satterthwaite's degrees of freedom pays for that. Where so little is left that order statistics
would take the extremes, and so every outlier, the processes' medians are the observations: Student's interval.

There is no NumPy here: a device that no connection reaches decides by these functions when it has measured enough.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean, median, stdev

LEAST_FOR_INTERVAL = 6  # below, even the extremes cover the median in less than 95 % of cases
LEAST_PROCESSES = 3  # for an interval of the processes' medians
NORMAL_975 = 1.959964
STUDENT_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True)
class MedianInterval:
    """A median with its 95 % interval, in the unit of the samples."""

    median: float
    low: float
    high: float
    effective_samples: float

    @property
    def relative_width(self) -> float:
        """The interval's width as a share of the median; infinite for a median of zero."""
        return (self.high - self.low) / self.median if self.median else math.inf


def median_interval(groups: Sequence[Sequence[int]]) -> MedianInterval | None:
    """Return the pooled median of samples grouped by process; None below six samples."""
    samples, sizes = _pool(groups)
    count = len(samples)
    if count < LEAST_FOR_INTERVAL:
        return None
    ordered = sorted(samples)
    effect = design_effect(_ranks(samples, ordered), sizes)
    reach = 0.5 * math.sqrt(count * effect) * _quantile(_freedom(effect, count, len(sizes)))
    middle = float(median(ordered))
    low = max(0, math.floor((count - 1) / 2 - reach))
    if low == 0 and len(sizes) >= LEAST_PROCESSES:
        below, above = _between_processes(groups)
        below, above = max(below, float(ordered[0])), min(above, float(ordered[-1]))
        return MedianInterval(middle, min(below, middle), max(above, middle), count / effect)
    return MedianInterval(middle, float(ordered[low]), float(ordered[count - 1 - low]), count / effect)


def _between_processes(groups: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Return Student's 95 % interval of the processes' medians, each one observation."""
    medians = [float(median(group)) for group in groups if len(group)]
    reach = _quantile(len(medians) - 1) * stdev(medians) / math.sqrt(len(medians))
    return fmean(medians) - reach, fmean(medians) + reach


@dataclass(frozen=True)
class Percentile:
    """A percentile with its one-sided 95 % upper bound, in the unit of the samples; both None if not claimed.

    The samples are worth `effective_samples` independent ones, of which `needed` are enough for the claim.
    """

    effective_samples: int
    needed: int
    value: float | None = None
    upper: float | None = None


def percentile(groups: Sequence[Sequence[int]], share: float) -> Percentile:
    """Return the percentile of samples grouped by process, as 0.9 for the 90th.

    It is claimed where the samples are worth at least `least_samples(share)` independent ones.
    """
    samples, sizes = _pool(groups)
    count, needed = len(samples), least_samples(share)
    if count < needed:
        return Percentile(count, needed)
    ordered = sorted(samples)
    value = float(ordered[math.ceil(share * count - 1e-9) - 1])
    # Equal times may lie on either side of the percentile; the side that says less counts.
    sides = ([float(sample > value) for sample in samples], [float(sample >= value) for sample in samples])
    effective = int(count / max(design_effect(side, sizes) for side in sides))
    rank = _upper_rank(effective, share, 0.05)
    if effective < needed or rank is None:
        return Percentile(effective, needed)
    return Percentile(effective, needed, value, float(ordered[math.ceil(rank * count / effective) - 1]))


def least_samples(share: float, confidence: float = 0.99) -> int:
    """Return how many independent samples a percentile needs: 64 for the 90th, 662 for the 99th.

    It is the least n of which, with that confidence, two or more lie above the percentile, so that it never hangs on
    the one slowest call: n p^(n-1) - (n-1) p^n <= 1 - confidence. The same n makes the smallest and the largest
    sample enclose a share p of all calls (S. S. Wilks, 1941).
    """
    count = 2
    while count * share ** (count - 1) - (count - 1) * share**count > 1 - confidence:
        count += 1
    return count


def design_effect(values: Sequence[float], sizes: Sequence[int]) -> float:
    """Return how many correlated values are worth one: at least 1, at most the size of a group.

    `values` are those of the first group, then the second, and so on; `sizes` are the groups' sizes. With a
    single group nothing is known about correlation, and 1 is returned.
    """
    count, groups = len(values), len(sizes)
    if groups < 2 or count <= groups:
        return 1.0
    ends = list(accumulate(sizes))
    parts = [values[end - size : end] for end, size in zip(ends, sizes)]
    means = [sum(part) / len(part) for part in parts]
    middle = sum(values) / count
    squared_size = float(sum(size * size for size in sizes))
    between = sum(size * (mean - middle) ** 2 for size, mean in zip(sizes, means)) / (groups - 1)
    within = sum((value - mean) ** 2 for part, mean in zip(parts, means) for value in part) / (count - groups)
    typical_size = (count - squared_size / count) / (groups - 1)
    total = between + (typical_size - 1) * within
    correlation = min(1.0, max(0.0, (between - within) / total)) if total > 0 else 0.0
    return max(1.0, 1 + (squared_size / count - 1) * correlation)


def _pool(groups: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Return all samples, and the sizes of the groups that hold any."""
    return [int(sample) for group in groups for sample in group], [len(group) for group in groups if len(group)]


def _ranks(samples: Sequence[int], ordered: Sequence[int]) -> list[float]:
    """Return each sample's rank; equal samples share the mean of theirs."""
    shared: dict[int, float] = {}
    for place, sample in enumerate(ordered):
        if sample not in shared:
            shared[sample] = (place + 1 + bisect_right(ordered, sample, place)) / 2
    return [shared[sample] for sample in samples]


def _freedom(effect: float, count: int, groups: int) -> float:
    """Return Satterthwaite's degrees of freedom: many while processes agree, towards groups - 1 otherwise."""
    extra = effect - 1
    if groups < 2 or extra <= 0:
        return math.inf
    return effect**2 / (1 / max(1, count - groups) + extra**2 / (groups - 1))


def _quantile(freedom: float) -> float:
    """Return Student's 97.5 % quantile, for degrees of freedom of at least 1."""
    if freedom < len(STUDENT_975):
        whole = int(freedom)
        low, high = STUDENT_975[whole - 1], STUDENT_975[whole]
        return low + (freedom - whole) * (high - low)
    z = NORMAL_975
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def _upper_rank(count: int, share: float, risk: float) -> int | None:
    """Return the smallest rank (from 1) whose order statistic bounds the percentile; None where none does.

    The r-th of n values lies below the percentile when at least r of them do: a binomial tail.
    """
    tail, rank = 0.0, count + 1
    while rank > 1:
        below = rank - 1
        log_chance = math.lgamma(count + 1) - math.lgamma(below + 1) - math.lgamma(count - below + 1)
        tail += math.exp(log_chance + below * math.log(share) + (count - below) * math.log1p(-share))
        if tail > risk:
            break
        rank -= 1
    return rank if rank <= count else None
