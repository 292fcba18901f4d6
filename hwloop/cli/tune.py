"""`hwloop tune`: the last few percent of TVM's kernels, found on the device itself."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.cli.compare import one_device
from hwloop.cli.models import MODEL_HELP, POLICY_HELP, Asked, workloads_for
from hwloop.cli.options import Care, parse_shapes
from hwloop.cli.output import BAD_RESULT, print_json, say

if TYPE_CHECKING:
    from hwloop.records.comparison import Comparison
    from hwloop.tune.run import TuneOutcome


def tune(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help=MODEL_HELP, show_default=False)
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="The device; needed where the fleet has several.")
    ] = None,
    shape: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SIZE", help="The size of a symbolic dimension.")
    ] = None,
    trials: Annotated[
        int, typer.Option(min=0, help="MetaSchedule's candidates for each kernel; the first take minutes to find.")
    ] = 0,
    seconds: Annotated[float, typer.Option(min=1.0, help="Most seconds of tuning, once the device is ours.")] = 1800.0,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of the runtime.")] = 1,
    deadline: Annotated[float, typer.Option(min=1.0, help="Seconds after which a kernel's process is killed.")] = 30.0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what is known.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for a device that others measure on.")] = True,
    patience: Annotated[float, typer.Option(min=0.0, help="Seconds that a device may fail without progress.")] = 900.0,
    space: Annotated[str | None, typer.Option(metavar="SPACE", help="Tune samples of this space, too.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="How many samples of the space.")] = 1,
    policy: Annotated[list[str] | None, typer.Option(metavar="[LAYER=]SCHEME", help=POLICY_HELP)] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples, weights and made-up inputs.")] = 0,
    despite_quarantine: Annotated[
        bool, typer.Option("--despite-quarantine", help="Use a device that failed too often, too.")
    ] = False,
    devices_file: Annotated[
        Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Look on a device for faster ways to make the kernels of some models with TVM.

    Each kernel that takes one percent of the models' time or more is built with other register tiles and, with
    --trials, as MetaSchedule would; each way is timed in turns with the rule's own code. What is shown to be faster
    beyond the noise is kept in the user's cache, and every later build for such a target takes it. In the end the tuned
    build of each model is compared with the untuned one.

    Ctrl-C and a lost device lose nothing: the same command goes on from there.

    Exit code: 0 done; 1 a tuned model is slower than before, or its outputs are wrong; 2 wrong usage or input; 3 the
    device failed.

    \b
    Examples:
      hwloop tune model.onnx -d kitchen-pi
      hwloop tune small.onnx large.onnx -d local --seconds 600
      hwloop tune --space vit-mini --sample 5 -d kitchen-pi
      hwloop tune model.onnx -d local --trials 32 --json
    """
    asked = Asked(models or [], space, sample, policy or [], seed=seed)
    care = Care(wait, patience, despite_quarantine)
    sizes, limits = parse_shapes(shape or []), _Limits(trials, seconds, threads, deadline, fresh)
    outcome, name = _run(asked, sizes, device, limits, care, devices_file)
    _print(outcome, name, as_json=as_json)
    bad = any(_is_bad(found) for found in outcome.comparisons.values() if found)
    raise typer.Exit(BAD_RESULT if bad else 0)


@dataclass(frozen=True)
class _Limits:
    """How much is tried, and for how long."""

    trials: int
    seconds: float
    threads: int
    deadline_s: float
    fresh: bool


def _run(
    asked: Asked,
    sizes: dict[str, int],
    device: str | None,
    limits: _Limits,
    care: Care,
    devices_file: Path | None,
) -> tuple[TuneOutcome, str]:
    """Return what came of it, and the device's name."""
    from hwloop.devices.fleet import load_fleet
    from hwloop.exporter.tuning.tuner import Effort
    from hwloop.paths import store_path
    from hwloop.store import Store
    from hwloop.tune.run import TuneJob, tune

    chosen = one_device(load_fleet(devices_file).select([device] if device else []))
    with workloads_for(asked, sizes, {}) as (workloads, _):
        job = TuneJob(
            workloads,
            chosen,
            Effort(limits.trials, limits.fresh),
            limits.seconds,
            limits.threads,
            limits.deadline_s,
            care.wait,
            care.patience_s,
            care.despite_quarantine,
        )
        try:
            with Store.open(store_path()) as store, _Bar() as bar:
                return tune(job, store, bar), chosen.name
        except KeyboardInterrupt:
            say("What was measured is kept; the same command goes on from there.")
            raise


def _print(outcome: TuneOutcome, device: str, *, as_json: bool) -> None:
    from hwloop.cli.tune_view import as_document, kernel_table, model_lines

    if as_json:
        print_json(as_document(outcome, device))
        return
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 140).print(kernel_table(outcome))
    typer.echo("\n".join(model_lines(outcome)))


def _is_bad(found: Comparison) -> bool:
    from hwloop.compare.judge import is_regression

    judgement = found.judgement
    return is_regression(judgement, 0.0) or any(reason.startswith("outputs differ") for reason in judgement.reasons)


class _Bar:
    """Shows what is being tuned and how much is done, where standard error is a terminal; plain lines elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False, markup=False)
        self._bar = Progress(
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[doing]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1.0, doing="")

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, soft_wrap=True)

    def progressed(self, what: str, share: float) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=share, doing=what)
