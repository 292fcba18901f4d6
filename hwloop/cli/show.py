"""One measurement in full: what, where, how, each process with its evidence, and how the times spread."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from hwloop.cli import units
from hwloop.cli.process_table import process_notes, process_table
from hwloop.cli.table import STYLES, explanation
from hwloop.intervals import percentile
from hwloop.records import Measurement, Verdict
from hwloop.stats import at_full_speed

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

BINS = 16
BAR_WIDTH = 48
EIGHTHS = " ▏▎▍▌▋▊▉"


def print_measurement(console: Console, one: Measurement) -> None:
    """Print a measurement with its runs."""
    from rich.text import Text

    subject = one.subject
    console.print(
        Text.assemble(
            (one.verdict.value, f"bold {STYLES[one.verdict]}"),
            (f"  {subject.model}", "bold"),
            f" on {subject.device} with {subject.runtime} {subject.runtime_version}",
        )
    )
    if said := explanation(one):
        console.print(Text(said, STYLES[one.verdict]), soft_wrap=True)
    if one.failure and one.failure.detail:
        console.print(Text(one.failure.detail, "dim"), soft_wrap=True)
    console.print()
    console.print(_figures(one))
    if one.runs:
        console.print(process_table(one))
        for line in process_notes(one):
            console.print(Text(line, STYLES[Verdict.INVALID]), soft_wrap=True)
    samples = [sample / 1e6 for run in at_full_speed(one.runs) for sample in run.samples_ns]
    if samples:
        console.print()
        for line in histogram(samples):
            console.print(Text(line), soft_wrap=True)


def histogram(samples_ms: Sequence[float]) -> list[str]:
    """Return lines of bars for at least one sample; the slowest 1 % share the last bar."""
    ordered = sorted(samples_ms)
    low = ordered[0]
    high = max(ordered[math.ceil(0.99 * len(ordered)) - 1], low)
    step = (high - low) / BINS
    if step == 0:
        low, step, bins = low, 1.0, 1
    else:
        bins = BINS
    counts = [0] * bins
    for sample in ordered:
        counts[min(bins - 1, int((sample - low) / step))] += 1
    most = max(counts)
    labels = [units.milliseconds(low + step * place, like=high) for place in range(bins)]
    width = max(map(len, labels))
    lines = [f"{label:>{width}} ms  {_bar(count / most)} {count}" for label, count in zip(labels, counts, strict=True)]
    if ordered[-1] > high:
        lines.append(f"{'':{width}}     slowest: {units.milliseconds(ordered[-1])} ms")
    return lines


def _bar(share: float) -> str:
    eighths = round(share * BAR_WIDTH * 8)
    if share > 0:
        eighths = max(1, eighths)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def _figures(one: Measurement) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    subject, summary = one.subject, one.summary
    pairs: list[tuple[str, str]] = [("id", one.id), ("began", one.created_at)]
    if summary.median_ms is not None:
        pairs.append(("median", f"{units.median_and_half(summary.median_ms, summary.ci95_ms)} ms (95 %)"))
        pairs += [("p90", _percentile(one, 0.9)), ("p99", _percentile(one, 0.99))]
        pairs.append(("min", f"{units.milliseconds(summary.min_ms)} ms of {summary.samples} calls"))
    if summary.insns_per_call is not None:
        counted = f"{summary.insns_per_call:,.0f} a call, {summary.samples} calls counted"
        pairs.append(("instructions", counted))
    if summary.peak_rss_mb is not None:
        pairs.append(("peak memory", f"{summary.peak_rss_mb:.1f} MB"))
    if summary.output_max_abs_err is not None:
        pairs.append(("max |error|", units.error(summary.output_max_abs_err)))
    pairs += [
        ("threads, batch", f"{subject.threads}, {subject.batch}"),
        ("model", subject.model_digest),
        ("artifact", f"{subject.artifact_digest} ({units.size(subject.artifact_bytes)})"),
        ("inputs", subject.inputs_digest),
        ("board", subject.device_identity),
        ("protocol", json.dumps(dict(subject.protocol), sort_keys=True)),
    ]
    if one.limits:
        pairs.append(("limits", json.dumps(asdict(one.limits))))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(name, Text(value))
    return grid


def _percentile(one: Measurement, share: float) -> str:
    """Return a percentile with its bound, or why it is not claimed."""
    value, bound = {
        0.9: (one.summary.p90_ms, one.summary.p90_upper_ms),
        0.99: (one.summary.p99_ms, one.summary.p99_upper_ms),
    }[share]
    if value is not None:
        at_most = f", at most {units.milliseconds(bound)} (95 %)" if bound is not None else ""
        return f"{units.milliseconds(value)} ms{at_most}"
    found = percentile([run.samples_ns for run in at_full_speed(one.runs)], share)
    calls = f"{one.summary.samples} calls"
    if found.effective_samples < one.summary.samples:
        calls += f", worth {found.effective_samples} independent ones,"
    return f"not claimed: {calls} are too few, it needs {found.needed}"
