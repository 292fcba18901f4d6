"""`hwloop report`: what the store has, as one page that a browser opens without a network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hwloop.cli.options import parse_moment
from hwloop.cli.output import print_json, say


def report(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.html", help="The file to write.")] = Path(
        "report.html"
    ),
    device: Annotated[list[str] | None, typer.Option("--device", "-d", help="Measurements of this device.")] = None,
    runtime: Annotated[list[str] | None, typer.Option("--runtime", "-r", help="With this runtime.")] = None,
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="Of these models; a glob.")] = None,
    since: Annotated[str, typer.Option(help="Begun since: 2h, 7d, 2026-01-31, 2026-01-31T12:00.")] = "",
    predictor: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.json", help="Show this saved predictor, too."),
    ] = None,
    devices_file: Annotated[
        Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a page of the fleet, the measurements, fronts, predictors, kernels and the history of models.

    It is one HTML file that needs no network and no server. Profiles of kernels are in it once `hwloop profile` took
    some.

    \b
    Examples:
      hwloop report -o report.html
      hwloop report -d kitchen-pi --since 7d -o week.html
      hwloop report --predictor pi4.json --json
    """
    from hwloop.cli.progress import busy
    from hwloop.devices.fleet import load_fleet
    from hwloop.paths import store_path
    from hwloop.report.store_page import write_report
    from hwloop.store import Filters, Store

    filters = Filters(
        devices=device or (), runtimes=runtime or (), models=model or (), since=parse_moment("--since", since)
    )
    fleet = load_fleet(devices_file)
    with Store.open(store_path()) as store, busy("Writing the report"):
        written = write_report(output, store, filters, fleet, predictor or [])
    if as_json:
        print_json(asdict(written))
        return
    say(f"{written.measurements} measurements of {written.devices} devices, {written.bytes / 1e6:.1f} MB.")
    typer.echo(written.file)
