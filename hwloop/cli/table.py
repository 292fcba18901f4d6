"""The table of measurements that `hwloop measure` and `hwloop results` print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwloop.cli import units
from hwloop.records import Measurement, Verdict
from hwloop.store.ids import TIME_DIGITS

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

STYLES = {Verdict.VALID: "green", Verdict.INVALID: "yellow", Verdict.FAILED: "red"}
GAP = 2  # between columns


@dataclass(frozen=True)
class Column:
    """A column: its heading (a line break where it is long) and what it shows of a measurement.

    `dropped` says which goes first where the table would be too wide; those with 0 stay.
    """

    heading: str
    cell: Callable[[Measurement], str]
    number: bool = True
    dropped: int = 0


COLUMNS = (
    Column("model", lambda one: one.subject.model, number=False),
    Column("device", lambda one: one.subject.device, number=False),
    Column("runtime", lambda one: one.subject.runtime, number=False),
    Column("verdict", lambda one: one.verdict.value, number=False),
    Column("median ms", lambda one: units.median_and_half(one.summary.median_ms, one.summary.ci95_ms)),
    Column("p90 ms", lambda one: units.milliseconds(one.summary.p90_ms), dropped=4),
    Column("min ms", lambda one: units.milliseconds(one.summary.min_ms), dropped=1),
    Column("instr\nper call", lambda one: units.count(one.summary.insns_per_call)),
    Column("peak\nMB", lambda one: units.whole(one.summary.peak_rss_mb), dropped=2),
    Column("size", lambda one: units.size(one.subject.artifact_bytes or None), dropped=3),
    Column("max\n|error|", lambda one: units.error(one.summary.output_max_abs_err), dropped=5),
)
ID = Column("id", lambda one: one.id[:TIME_DIGITS], number=False)


def measurement_table(measurements: Sequence[Measurement], width: int | None = None, *, ids: bool = False) -> Table:
    """Return a table with a row per measurement; what is INVALID or FAILED is explained below it.

    Columns without any figure are left out, and the least important ones where `width`, in characters, is too
    small for all. With `ids`, the last column is what `hwloop results show` takes.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    explained = [one for one in measurements if explanation(one)]
    cells = {column.heading: [column.cell(one) for one in measurements] for column in COLUMNS}
    cells[ID.heading] = [ID.cell(one) for one in measurements]
    cells["verdict"] = [
        f"{one.verdict.value} {explained.index(one) + 1}" if one in explained else one.verdict.value
        for one in measurements
    ]
    wanted = [column for column in COLUMNS if not column.number or set(cells[column.heading]) - {units.NONE}]
    columns = _fitting([*wanted, ID] if ids else wanted, cells, width)

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, GAP - 1, 0, 0), caption_justify="left")
    for column in columns:
        table.add_column(
            column.heading,
            justify="right" if column.number else "left",
            no_wrap=column.heading != "model",
            overflow="fold",
        )
    for row, one in enumerate(measurements):
        style = STYLES[one.verdict]
        table.add_row(
            *(Text(cells[column.heading][row], style if column.heading == "verdict" else "") for column in columns)
        )
    if explained:
        table.caption = Text("\n").join(_note(number, one) for number, one in enumerate(explained, 1))
        table.caption_style = ""
    return table


def explanation(one: Measurement) -> str:
    """Return why a measurement is INVALID or FAILED, in one line; empty where it is VALID."""
    if one.failure:
        return f"{one.failure.kind.value}: {' '.join(one.failure.message.split())}"
    return "; ".join(one.reasons)


def _fitting(columns: Sequence[Column], cells: dict[str, list[str]], width: int | None) -> list[Column]:
    """Return the columns that fit into `width` characters, dropping the least important ones first."""
    kept = list(columns)

    def needed(column: Column) -> int:
        return GAP + max(map(len, [*column.heading.split("\n"), *cells[column.heading]]))

    while width is not None and sum(map(needed, kept)) > width:
        droppable = [column for column in kept if column.dropped]
        if not droppable:
            break
        kept.remove(min(droppable, key=lambda column: column.dropped))
    return kept


def _note(number: int, one: Measurement) -> Text:
    from rich.text import Text

    subject = one.subject
    where = f"{subject.model} on {subject.device} with {subject.runtime}"
    return Text.assemble((f"{number} {one.verdict.value}", STYLES[one.verdict]), f" {where}: {explanation(one)}")
