"""`hwloop export`: candidates as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwloop.cli.models import POLICY_HELP, WEIGHTS_HELP, Asked
from hwloop.cli.options import parse_shapes
from hwloop.cli.output import print_json
from hwloop.errors import UsageError


def export(
    candidates: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CANDIDATE]...", help="Candidates' files or SPACE@SEED, SPACE@smallest, SPACE@largest."
        ),
    ] = None,
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FOLDER", help="Where the ONNX files go.")] = Path(),
    space: Annotated[str | None, typer.Option(metavar="SPACE", help="Export samples of this space, too.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="How many samples of the space.")] = 1,
    policy: Annotated[list[str] | None, typer.Option(metavar="[LAYER=]SCHEME", help=POLICY_HELP)] = None,
    weights: Annotated[str, typer.Option(metavar="WEIGHTS", help=WEIGHTS_HELP)] = "random",
    shape: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SIZE", help="A size: batch, length, resolution, steps.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples and weights.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write candidates as ONNX files, one for each part, quantized as their policies say.

    \b
    Examples:
      hwloop export vit-mini@largest --onnx models
      hwloop export --space hat-small --sample 3 --policy int8-dynamic --shape length=20 --onnx models
      hwloop export candidates.yaml --onnx models --json
    """
    from hwloop.cli.progress import counted
    from hwloop.search.model_files import write_candidates

    asked = Asked(candidates or [], space, sample, policy or [], weights, seed)
    if asked.paths():
        raise UsageError(f"{asked.paths()[0]} is no candidate", remedy="An ONNX file needs no export.")
    found = asked.candidates()
    onnx.mkdir(parents=True, exist_ok=True)
    with counted("exporting candidates", len(found)) as exported:
        files = write_candidates(found, onnx, parse_shapes(shape or []), weights=weights, seed=seed, exported=exported)
    if as_json:
        print_json(
            [
                {
                    "file": str(file.path),
                    "candidate": file.candidate and file.candidate.as_json(),
                    "part": file.part,
                    "repeats": file.repeats,
                    "bytes": file.path.stat().st_size,
                }
                for file in files
            ]
        )
        return
    for file in files:
        times = f" (runs {file.repeats} times)" if file.repeats > 1 else ""
        typer.echo(f"{file.path}{times}")
