"""`hwloop export`: candidates, and models with a policy, as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwloop.cli.models import CALIBRATE_HELP, METHOD_HELP, POLICY_HELP, WEIGHTS_HELP, Asked, written_files
from hwloop.cli.options import parse_shapes
from hwloop.cli.output import print_json
from hwloop.errors import UsageError


def export(
    candidates: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CANDIDATE]...",
            help="Candidates' files, SPACE@SEED, SPACE@smallest, SPACE@largest, or ONNX files to quantize.",
        ),
    ] = None,
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FOLDER", help="Where the ONNX files go.")] = Path(),
    space: Annotated[str | None, typer.Option(metavar="SPACE", help="Export samples of this space, too.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="How many samples of the space.")] = 1,
    policy: Annotated[list[str] | None, typer.Option(metavar="[LAYER=]SCHEME", help=POLICY_HELP)] = None,
    weights: Annotated[str, typer.Option(metavar="WEIGHTS", help=WEIGHTS_HELP)] = "random",
    calibrate: Annotated[Path | None, typer.Option(metavar="FILE.npz", help=CALIBRATE_HELP)] = None,
    calibration: Annotated[str, typer.Option(metavar="METHOD", help=METHOD_HELP)] = "min-max",
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SIZE", help="A size: batch, length, resolution, steps; of ONNX files, a dimension's."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples and weights.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write candidates as ONNX files, one for each part, quantized as their policies say; ONNX files by --policy.

    \b
    Examples:
      hwloop export vit-mini@largest --onnx models
      hwloop export --space hat-small --sample 3 --policy int8-dynamic --shape length=20 --onnx models
      hwloop export candidates.yaml --onnx models --json
      hwloop export model.onnx --policy int8-static --calibrate data.npz --calibration entropy --onnx quantized
    """
    asked = Asked(candidates or [], space, sample, policy or [], weights, seed, calibrate, calibration)
    if asked.paths() and not asked.policy:
        raise UsageError(
            f"{asked.paths()[0]} is no candidate",
            remedy="Name a candidate's file or SPACE@SEED; an ONNX file needs a --policy.",
        )
    try:
        onnx.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--onnx {onnx}: this is no folder: {error.strerror}", remedy="Give another one.") from error
    files, _ = written_files(asked, onnx, parse_shapes(shape or []))
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
