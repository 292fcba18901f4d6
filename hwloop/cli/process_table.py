"""The processes of one measurement: a row each, with what the device was like and a verdict of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwloop.cli import units
from hwloop.cli.table import STYLES
from hwloop.records import Limits, Measurement, ProcessRun, TimingProtocol, Verdict
from hwloop.verdict import findings_of, percent

if TYPE_CHECKING:
    from rich.console import RenderableType


def process_findings(one: Measurement) -> list[tuple[str, ...]]:
    """Return what was wrong with each process, by the limits that the measurement was judged by."""
    protocol = TimingProtocol.from_json(one.subject.protocol)
    limits = one.limits or Limits()
    return findings_of(one.runs, one.summary, protocol, limits, emulated=one.subject.emulated)


def process_notes(one: Measurement) -> list[str]:
    """Return a line for each process that was not calm."""
    found = zip(one.runs, process_findings(one), strict=True)
    return [f"process {run.index}: {'; '.join(words)}" for run, words in found if words]


def process_table(one: Measurement) -> RenderableType:
    """Return a table with a row per process."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    counted = any(run.instructions for run in one.runs)
    paced = any(run.during.full_speed_ns for run in one.runs)
    headings = [
        "process", "verdict", "calls", "instr/call" if counted else "median ms", "warm-up\ncalls", "load\nms",
        "peak\nMB", "max\n|err|", "others\ntook", "waited", "governor", "MHz", "°C", "throttled", "free\nmemory",
    ]  # fmt: skip
    for heading in [*headings, "set\naside"] if paced else headings:
        table.add_column(heading, justify="right")
    for run, found in zip(one.runs, process_findings(one), strict=True):
        before, during, after = run.before, run.during, run.after
        verdict = Verdict.INVALID if found else Verdict.VALID
        table.add_row(
            str(run.index),
            Text(verdict.value, STYLES[verdict]),
            str(len(run.samples_ns) or len(run.instructions)),
            _middle(run),
            str(len(run.warmup_ns)),
            units.milliseconds(run.load_ms),
            units.NONE if run.peak_rss_bytes is None else f"{run.peak_rss_bytes / 1e6:.0f}",
            units.error(run.output_max_abs_err),
            _share(during.foreign_share),
            _share(during.waited_share),
            after.governor or units.NONE,
            _range(during.clocks_mhz, 0) or _change(_fastest(before.frequencies_mhz), _fastest(after.frequencies_mhz)),
            _range(during.temperatures_c, 1) or _change(_digit(before.temperature_c), _digit(after.temperature_c)),
            _change(_hex(before.throttled), _hex(after.throttled)),
            units.size(after.memory_available_bytes),
            *([f"{during.set_aside} calls"] if paced else []),
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


def _range(values: Sequence[float], digits: int) -> str:
    """Return the smallest and the largest of what was seen while calls were timed; nothing where nothing was."""
    if not values:
        return ""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low}…{high}"


def _share(share: float | None) -> str:
    return units.NONE if share is None else percent(share)


def _digit(value: float | None) -> str:
    return units.NONE if value is None else f"{value:.1f}"


def _fastest(frequencies_mhz: Sequence[float]) -> str:
    return f"{max(frequencies_mhz):.0f}" if frequencies_mhz else units.NONE


def _hex(bits: int | None) -> str:
    return units.NONE if bits is None else f"{bits:#x}"
