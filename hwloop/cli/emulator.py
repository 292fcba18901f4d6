"""`hwloop emulator`: emulated boards up, down, and what runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

app = typer.Typer(
    help="Start and stop emulated boards: real SSH servers under QEMU that count instructions.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]

FIRST_BUILD_S = 1800.0


@app.command(epilog="Example: hwloop emulator up pi4")
def up(
    boards: Annotated[list[str] | None, typer.Argument(help="pi4 or pi3; without one, pi4.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that all of it may take.", min=1)] = FIRST_BUILD_S,
    as_json: AsJson = False,
) -> None:
    """Start boards on loopback; one that runs is left as it is.

    The first start builds an arm64 root file system in the user's cache, and installs the Debian packages
    that are missing.
    """
    from hwloop.deadline import Deadline
    from hwloop.devices import emulator

    deadline = Deadline.after(timeout)
    started = {}
    for name in dict.fromkeys(boards or ["pi4"]):
        with _shown(f"Starting {name}") as say:
            started[name] = emulator.up(name, deadline, say)
    if as_json:
        found = {name: asdict(endpoint) for name, endpoint in started.items()}
        typer.echo(json.dumps(found, default=str))
        return
    for name, endpoint in started.items():
        where = f"-p {endpoint.port} -i {endpoint.key_file} {endpoint.user}@{endpoint.host}"
        typer.echo(f"{name} is up: ssh {where}")


@app.command(epilog="Example: hwloop emulator down")
def down(
    boards: Annotated[list[str] | None, typer.Argument(help="pi4 or pi3; without one, all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Stop boards; their processes and mounts end with them. What was built stays."""
    from hwloop.devices import emulator

    wanted: list[str | None] = [*dict.fromkeys(boards or [])] or [None]
    stopped = [name for board in wanted for name in emulator.down(board)]
    if as_json:
        typer.echo(json.dumps({"stopped": stopped}))
        return
    typer.echo(f"Stopped: {', '.join(stopped)}" if stopped else "No board was running.")


@app.command(epilog="Example: hwloop emulator status --json")
def status(as_json: AsJson = False) -> None:
    """Show the boards that can be emulated and which of them run."""
    from hwloop.devices import emulator

    boards = emulator.status()
    if as_json:
        typer.echo(json.dumps([asdict(board) for board in boards]))
        return
    for board in boards:
        state = f"up at {board.address} (process {board.pid})" if board.running else "down"
        typer.echo(f"{board.name:<6} {board.model:<36} {state}")


@contextmanager
def _shown(title: str) -> Iterator[Callable[[str], None]]:
    """Show what goes on, on standard error: each step on a line, and on a terminal the time that it takes."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(title, total=None)
        yield lambda step: console.print(step, highlight=False, markup=False, soft_wrap=True)
