"""The figures of a measurement."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hwloop.intervals import median_interval, percentile
from hwloop.records import ProcessRun, Summary

SLOWER = 1.25  # as in devices/runner/pace.py


def summarise(runs: Sequence[ProcessRun], emulated: bool) -> Summary:
    """Return the figures of all runs together; on an emulated device instructions and no times."""
    peaks = [run.peak_rss_bytes for run in runs if run.peak_rss_bytes is not None]
    errors = [run.output_max_abs_err for run in runs if run.output_max_abs_err is not None]
    peak_rss_mb = max(peaks) / 1e6 if peaks else None
    max_abs_err = max(errors) if errors else None
    if emulated:
        counts = counts_per_run(runs)
        return Summary(
            samples=sum(len(run.instructions) for run in runs),
            peak_rss_mb=peak_rss_mb,
            output_max_abs_err=max_abs_err,
            insns_per_call=median(counts) if counts else None,
        )
    groups = [run.samples_ns for run in at_full_speed(runs) if run.samples_ns]
    pooled = [sample for group in groups for sample in group]
    interval = median_interval(groups)
    p90, p99 = percentile(groups, 0.9), percentile(groups, 0.99)
    return Summary(
        samples=len(pooled),
        median_ms=median(pooled) / 1e6 if pooled else None,
        ci95_ms=(interval.low / 1e6, interval.high / 1e6) if interval else None,
        p90_ms=_ms(p90.value),
        p90_upper_ms=_ms(p90.upper),
        p99_ms=_ms(p99.value),
        p99_upper_ms=_ms(p99.upper),
        min_ms=min(pooled) / 1e6 if pooled else None,
        peak_rss_mb=peak_rss_mb,
        output_max_abs_err=max_abs_err,
    )


def at_full_speed(runs: Sequence[ProcessRun]) -> list[ProcessRun]:
    """Return the runs without those that were slow throughout: no call is left of them, or another was far quicker."""
    quickest_ns = min((run.during.full_speed_ns for run in runs if run.during.full_speed_ns), default=0)
    return [
        run
        for run in runs
        if run.during.full_speed_ns is None or (run.samples_ns and run.during.full_speed_ns <= SLOWER * quickest_ns)
    ]


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def counts_per_run(runs: Sequence[ProcessRun]) -> list[float]:
    """Return the instructions per call of each run that counted."""
    return [least_count(run.instructions) for run in runs if run.instructions]


def least_count(counts: Sequence[float]) -> float:
    """Return the smallest of some calls' counts: Python and the allocators around a call do more now and then."""
    return float(min(counts))


def relative_spread(counts: Sequence[float]) -> float:
    """Return the largest difference as a share of the median; 0 for fewer than two counts."""
    if len(counts) < 2:
        return 0.0
    middle = median(counts)
    return (max(counts) - min(counts)) / middle if middle else math.inf


def median(values: Sequence[float]) -> float:
    """Return the median of one value or more."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return float(ordered[half]) if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
