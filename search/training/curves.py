"""Loss curves: a line of JSON for each step."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from hwloop.search.training.trainer import Step


def curve_path(checkpoint: Path) -> Path:
    """Return where the losses of the run that makes a checkpoint are written."""
    return checkpoint.with_suffix(".losses.jsonl")


def write_steps(path: Path, steps: list[Step]) -> None:
    """Append steps to a curve."""
    with path.open("a") as file:
        file.writelines(f"{json.dumps(asdict(step))}\n" for step in steps)


def read_steps(path: Path) -> list[Step]:
    """Return the steps of a curve; a last line that was cut off is left out."""
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return [Step(one["number"], one["learning_rate"], tuple(one["losses"])) for one in found]


def cut_curve(path: Path, steps: int) -> None:
    """Drop what a curve says of the steps after the first `steps`: a resumed run takes them again."""
    kept = [step for step in read_steps(path) if step.number <= steps]
    path.write_text("")
    write_steps(path, kept)
