"""`hwloop train`: a supernet's weights, for every network of a space at once."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.cli.options import parse_shapes
from hwloop.cli.output import print_json, say

if TYPE_CHECKING:
    from hwloop.search.training.run import Judged, TrainingRun

RATE, FINE_TUNING_RATE = 3e-3, 1e-4


def train(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="A space's name, bert:FILE.safetensors, FILE.py:NAME.")],
    task: Annotated[str, typer.Option(help="digits, fashion-mnist, reviews, debian-it, or your own as FILE.py:NAME.")],
    steps: Annotated[int, typer.Option(min=1, help="How many steps.")] = 1000,
    batch: Annotated[int, typer.Option(min=1, help="Examples a step.")] = 64,
    lr: Annotated[
        float | None,
        typer.Option(help=f"The highest learning rate; {RATE:g}, from trained weights {FINE_TUNING_RATE:g}."),
    ] = None,
    sampling: Annotated[
        str, typer.Option(help="sandwich (the largest teaches the smallest and random ones), uniform, complexity.")
    ] = "sandwich",
    subnets: Annotated[int, typer.Option(min=1, help="Random subnets a step.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same weights.")] = 0,
    weights: Annotated[str, typer.Option(help="What to start from: random, pretrained, or a checkpoint.")] = "random",
    shape: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SIZE", help="A size: length, resolution or steps.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="CHECKPOINT", help="The file of weights to write.")
    ] = Path("supernet.safetensors"),
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; as many as cores by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that was stopped.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train all networks of a space at once, on a GPU if there is one.

    Ctrl-C saves the run; with --resume it goes on as if it had never been stopped. Losses are written beside the
    checkpoint, a line of JSON a step.

    \b
    Examples:
      hwloop train vit-mini --task fashion-mnist --steps 5000 --batch 128 -o vit.safetensors
      hwloop train bert-minilm --task reviews --weights pretrained --shape length=64 -o bert.safetensors
      hwloop train hat-small --task debian-it --steps 20000 --batch 128 -o hat.safetensors
      hwloop export vit-mini@largest --weights vit.safetensors --onnx models
    """
    from hwloop.search.training.recipe import Recipe
    from hwloop.search.training.run import TrainingRun, use_threads

    if threads is not None:
        use_threads(threads)
    rate = lr or (RATE if weights == "random" else FINE_TUNING_RATE)
    sizes = parse_shapes(shape or [])
    recipe = Recipe(space, task, steps, batch, rate, sampling, subnets, seed, weights, sizes=sizes)
    run = TrainingRun(recipe, output, resume=resume)
    with _asked_to_stop() as stopped:
        say(f"{space} for {task}: {len(run.data.train)} examples, on {run.device}")
        _train(run, stopped)
    if not run.complete:
        say(f"Stopped after step {run.trainer.step} of {steps}; all is saved. To go on:")
        say(f"  {_again(resume)}")
    judged = _judge(run)
    if as_json:
        print_json(_document(run, judged))
    else:
        _show(run, judged)


def _train(run: TrainingRun, stopped: Callable[[], bool]) -> None:
    from hwloop.cli.progress import counted

    with counted("training", run.trainer.recipe.steps) as done:
        done(run.trainer.step)
        run.run(stopped, lambda step: done(step.number))


def _judge(run: TrainingRun) -> list[Judged]:
    from hwloop.cli.progress import counted
    from hwloop.search.training.run import JUDGED

    judged = []
    with counted("judging", JUDGED + 2) as done:
        for one in run.judge():
            judged.append(one)
            done(len(judged))
    return judged


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Let a first Ctrl-C end the work between two steps; a second one ends it at once."""
    asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def _again(resumed: bool) -> str:
    """Return the command that goes on."""
    return shlex.join(["hwloop", *sys.argv[1:], *([] if resumed else ["--resume"])])


def _document(run: TrainingRun, judged: list[Judged]) -> dict[str, object]:
    from hwloop.search.training.curves import curve_path, read_steps

    curve = curve_path(run.checkpoint)
    losses = [{"step": step.number, "losses": list(step.losses)} for step in read_steps(curve)]
    return {
        "recipe": run.trainer.recipe.as_json(),
        "complete": run.complete,
        "step": run.trainer.step,
        "device": str(run.device),
        "checkpoint": str(run.checkpoint),
        "curve": str(curve),
        "first_losses": losses[0] if losses else None,
        "last_losses": losses[-1] if losses else None,
        "subnets": [{"name": one.name, "arch": dict(one.arch.choices), "accuracy": one.accuracy} for one in judged],
    }


def _show(run: TrainingRun, judged: list[Judged]) -> None:
    typer.echo(f"{run.checkpoint}: {run.trainer.step} of {run.trainer.recipe.steps} steps")
    for one in judged:
        typer.echo(f"  {one.name:<9} {one.accuracy:.1%} on {len(run.data.eval)} examples")
