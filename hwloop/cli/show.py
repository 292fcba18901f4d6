"""One measurement in full: what, where, how, each process with its evidence, and how the times spread."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwloop.cli import units
from hwloop.cli.table import STYLES, explanation
from hwloop.records import Measurement, ProcessRun

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
        console.print(_processes(one.runs))
    samples = [sample / 1e6 for run in one.runs for sample in run.samples_ns]
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
        bound = summary.p90_upper_ms
        at_most = f", at most {units.milliseconds(bound)} (95 %)" if bound is not None else ""
        if summary.p90_ms is not None:
            pairs.append(("p90", f"{units.milliseconds(summary.p90_ms)} ms{at_most}"))
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
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(name, Text(value))
    return grid


def _processes(runs: Sequence[ProcessRun]) -> RenderableType:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    counted = any(run.instructions for run in runs)
    for heading in (
        "process", "calls", "instr/call" if counted else "median ms", "warm-up\ncalls", "steady", "load\nms",
        "peak\nMB", "max\n|err|", "governor", "MHz", "°C", "throttled", "load\n1 min", "free\nmemory",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for run in runs:
        before, after = run.before, run.after
        table.add_row(
            str(run.index),
            str(len(run.samples_ns) or len(run.instructions)),
            _middle(run),
            str(len(run.warmup_ns)),
            "yes" if run.steady else "no",
            units.milliseconds(run.load_ms),
            units.NONE if run.peak_rss_bytes is None else f"{run.peak_rss_bytes / 1e6:.0f}",
            units.error(run.output_max_abs_err),
            after.governor or units.NONE,
            _change(_fastest(before.frequencies_mhz), _fastest(after.frequencies_mhz)),
            _change(_digit(before.temperature_c), _digit(after.temperature_c)),
            _change(_hex(before.throttled), _hex(after.throttled)),
            _change(_digit(before.load_1min), _digit(after.load_1min)),
            units.size(after.memory_available_bytes),
        )
    return table


def _middle(run: ProcessRun) -> str:
    values = sorted(run.samples_ns or run.instructions)
    if not values:
        return units.NONE
    middle = values[len(values) // 2]
    return units.milliseconds(middle / 1e6) if run.samples_ns else f"{middle:,}"


def _change(before: str, after: str) -> str:
    return after if before == after else f"{before}→{after}"


def _digit(value: float | None) -> str:
    return units.NONE if value is None else f"{value:.1f}"


def _fastest(frequencies_mhz: Sequence[float]) -> str:
    return f"{max(frequencies_mhz):.0f}" if frequencies_mhz else units.NONE


def _hex(bits: int | None) -> str:
    return units.NONE if bits is None else f"{bits:#x}"
