"""`hwloop results`: what was measured, filtered, shown, and written to files."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.cli.carrying import import_notes
from hwloop.cli.options import parse_moment
from hwloop.cli.output import BAD_RESULT, print_json, say
from hwloop.errors import UsageError
from hwloop.paths import store_path
from hwloop.records import Measurement, Verdict

if TYPE_CHECKING:
    from rich.console import Console

    from hwloop.store import Filters, Store

app = typer.Typer(
    help="Show what was measured: filter it, look at one in full, write it to a file.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

TABLE_LIMIT = 50
PLAIN_WIDTH = 140  # of a table that goes to a file or a pipe
EXAMPLES = """
Examples:

  hwloop results -d rpi4 -r onnxruntime --since 2h

  hwloop results -m 'mobile*' --verdict VALID --json

  hwloop results --csv calls.csv --samples

  hwloop results show 019c2f5a81e3
"""


@app.callback(epilog=EXAMPLES)
def results(
    context: typer.Context,
    device: Annotated[list[str] | None, typer.Option("--device", "-d", help="Of this device.")] = None,
    runtime: Annotated[list[str] | None, typer.Option("--runtime", "-r", help="With this runtime.")] = None,
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="Of these models; a glob.")] = None,
    verdict: Annotated[list[str] | None, typer.Option(help="VALID, INVALID or FAILED.")] = None,
    since: Annotated[str, typer.Option(help="Begun since: 2h, 7d, 2026-01-31, 2026-01-31T12:00.")] = "",
    until: Annotated[str, typer.Option(help="Begun before, written as for --since.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Also those that were measured again later.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="The newest only; a table shows 50.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write them to this CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write them to this Parquet file.")] = None,
    samples: Annotated[bool, typer.Option("--samples", help="In the file, a row for every call.")] = False,
) -> None:
    """Show what was measured, newest first: filter it, look at one in full, write it to a file."""
    if context.invoked_subcommand is not None:
        return
    if samples and not (csv or parquet):
        raise UsageError("--samples goes with a file", remedy="Add --csv FILE or --parquet FILE.")
    from hwloop.store import Filters

    filters = Filters(
        devices=device or (),
        runtimes=runtime or (),
        models=model or (),
        verdicts=[_verdict(name) for name in verdict or ()],
        since=parse_moment("--since", since),
        until=parse_moment("--until", until),
        latest_only=not every,
        limit=limit,
    )
    with _open_store() as store:
        _list(store, filters, as_json, csv, parquet, samples)


@app.command(epilog="Example: hwloop results show 019c2f5a81e3")
def show(
    measurement_id: Annotated[str, typer.Argument(metavar="ID", help="An id, or how one begins.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show one measurement in full: every process with its evidence, and how the times spread."""
    with _open_store() as store:
        found = store.get(measurement_id)
    if as_json:
        print_json(_in_full(found))
        return
    from hwloop.cli.show import print_measurement

    print_measurement(_console(), found)


@app.command("import", epilog="Example: hwloop results import job.results")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `python3 job.pyz` wrote on the device.")],
    job: Annotated[
        Path | None, typer.Option(metavar="FILE.pyz", help="The job's archive, where another store wrote it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Take in the results of a job that was carried to a device; what the store has is not doubled.

    Exit code: 0 all is in the store; 1 outputs are wrong; 2 the file is damaged, or of another job.
    """
    from hwloop.carried import import_results
    from hwloop.verdict import outputs_differ

    with _open_store() as store:
        found = import_results(file, store, job)
    if as_json:
        print_json([one.as_json() for one in found.measurements])
    elif found.measurements:
        from hwloop.cli.table import measurement_table

        console = _console()
        console.print(measurement_table(found.measurements, console.width, ids=True))
    for line in import_notes(found):
        say(line)
    raise typer.Exit(BAD_RESULT if any(map(outputs_differ, found.measurements)) else 0)


def _list(store: Store, filters: Filters, as_json: bool, csv: Path | None, parquet: Path | None, samples: bool) -> None:
    to_file = csv is not None or parquet is not None
    # A table asks for one more than it shows, to know whether there are more.
    limit = filters.limit or (None if to_file or as_json else TABLE_LIMIT + 1)
    found = store.query(replace(filters, limit=limit))
    if to_file:
        _write(store, found, csv, parquet, samples)
    if as_json:
        print_json([one.as_json() for one in found])
    if to_file or as_json:
        return
    if not found:
        say("Nothing measured fits. hwloop measure MODEL.onnx measures one.")
        return
    from hwloop.cli.table import measurement_table

    more = not filters.limit and len(found) > TABLE_LIMIT
    console = _console()
    shown = found[:TABLE_LIMIT] if more else found
    console.print(measurement_table(shown, console.width, ids=True))
    if more:
        say(f"The newest {TABLE_LIMIT}; --limit shows more.")


def _write(store: Store, found: list[Measurement], csv: Path | None, parquet: Path | None, samples: bool) -> None:
    from hwloop.store import export

    columns = export.CALL_COLUMNS if samples else export.MEASUREMENT_COLUMNS
    for path, write in ((csv, export.write_csv), (parquet, export.write_parquet)):
        if path is not None:
            rows = export.call_rows(store, found) if samples else export.measurement_rows(found)
            say(f"{path}: {write(path, columns, rows)} rows")


def _open_store() -> Store:
    from hwloop.store import Store

    return Store.open(store_path())


def _console() -> Console:
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def _in_full(one: Measurement) -> dict[str, object]:
    from hwloop.cli.process_table import process_findings

    runs = [
        asdict(run) | {"verdict": (Verdict.INVALID if found else Verdict.VALID).value, "reasons": list(found)}
        for run, found in zip(one.runs, process_findings(one), strict=True)
    ]
    limits = asdict(one.limits) if one.limits else None
    return one.as_json() | {"subject": asdict(one.subject), "limits": limits, "runs": runs}


def _verdict(name: str) -> Verdict:
    try:
        return Verdict(name.upper())
    except ValueError:
        raise UsageError(
            f"--verdict {name}: there is no such verdict", remedy="It is VALID, INVALID or FAILED."
        ) from None
