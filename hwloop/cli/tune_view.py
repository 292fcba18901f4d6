"""What tuning found, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwloop.cli import units
from hwloop.cli.comparison_view import as_item, lines

if TYPE_CHECKING:
    from rich.table import Table

    from hwloop.exporter.tuning.tuner import KernelReport
    from hwloop.records.comparison import Comparison
    from hwloop.tune.run import TuneOutcome


def as_document(outcome: TuneOutcome, device: str) -> dict[str, object]:
    """Return the document that `hwloop tune --json` prints."""
    return {
        "device": device,
        "complete": outcome.complete,
        "kernels": [_kernel(kernel) for kernel in outcome.kernels],
        "models": {name: _comparison(found) for name, found in outcome.comparisons.items()},
    }


def kernel_table(outcome: TuneOutcome) -> Table:
    """Return a table with a row per kernel, the one that takes longest first."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("kernel", overflow="ellipsis", no_wrap=True, max_width=44)
    for heading in ("calls", "share", "rule ms", "best ms", "gain"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("source", no_wrap=True)
    for kernel in outcome.kernels:
        best = units.milliseconds(_best_ms(kernel))
        gain = f"{100 * (1 - kernel.ratio):.1f} %" if kernel.schedule else "-"
        row = (f"{kernel.calls}", f"{100 * kernel.share:.1f} %", units.milliseconds(kernel.rule_ms), best, gain)
        table.add_row(kernel.name, *row, _source(kernel))
    return table


def model_lines(outcome: TuneOutcome) -> list[str]:
    """Return what a user reads of each model's tuned build (B) beside the untuned one (A)."""
    told = []
    for name, found in outcome.comparisons.items():
        if found is None:
            told.append(f"{name}: nothing was shown to be faster than the rules' own code.")
        else:
            told += [f"{name}, by the rules alone (A) and tuned (B):", *lines(found, 0.0, False)]
    if not outcome.complete:
        told.append("The time was over before all was tried; the same command goes on from here.")
    return told


def _kernel(kernel: KernelReport) -> dict[str, object]:
    return {
        "name": kernel.name,
        "digest": kernel.digest,
        "rule": kernel.rule or None,
        "calls": kernel.calls,
        "share": kernel.share,
        "rule_ms": kernel.rule_ms,
        "best_ms": _best_ms(kernel),
        "ratio": kernel.ratio,
        "source": _source(kernel),
        "tried": kernel.tried,
        "failed": kernel.failed,
    }


def _comparison(found: Comparison | None) -> dict[str, object] | None:
    return None if found is None else as_item(found, 0.0, False)


def _best_ms(kernel: KernelReport) -> float | None:
    return None if kernel.rule_ms is None else kernel.rule_ms * kernel.ratio


def _source(kernel: KernelReport) -> str:
    if kernel.schedule:
        return str(kernel.schedule)
    return "rule" if kernel.rule else "TVM's own loops"
