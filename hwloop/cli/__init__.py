"""The command line: `hwloop`."""

from __future__ import annotations

import sys

import typer

from hwloop.cli import devices, emulator, predictor, results, spaces
from hwloop.cli.ci import ci
from hwloop.cli.compare import compare
from hwloop.cli.export import export
from hwloop.cli.measure import measure
from hwloop.cli.output import report_error
from hwloop.cli.profile import profile
from hwloop.cli.report import report
from hwloop.cli.search import search
from hwloop.cli.train import train
from hwloop.cli.tune import tune
from hwloop.cli.verify import verify
from hwloop.errors import HwloopError

INTERRUPTED = 130

app = typer.Typer(
    name="hwloop",
    help="Measure neural networks on the devices they will run on.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="measure")(measure)
app.command(name="compare")(compare)
app.command(name="ci")(ci)
app.command(name="export")(export)
app.command(name="search")(search)
app.command(name="profile")(profile)
app.command(name="report")(report)
app.command(name="verify")(verify)
app.command(name="train")(train)
app.command(name="tune")(tune)
app.add_typer(devices.app, name="devices")
app.add_typer(emulator.app, name="emulator")
app.add_typer(predictor.app, name="predictor")
app.add_typer(results.app, name="results")
app.add_typer(spaces.app, name="spaces")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print hwloop's version and end."),
) -> None:
    if version:
        from hwloop import __version__

        print(f"hwloop {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; turn our errors into messages and exit codes, here and nowhere else."""
    try:
        app()
    except HwloopError as error:
        sys.exit(report_error(error))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(INTERRUPTED)
