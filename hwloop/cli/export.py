"""`hwloop export`: candidates, and models with a policy, as ONNX files; any of them as bundles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from hwloop.cli.bundles import BundleOptions, export_bundles
from hwloop.cli.models import CALIBRATE_HELP, METHOD_HELP, POLICY_HELP, WEIGHTS_HELP, Asked, written_files
from hwloop.cli.options import parse_shapes
from hwloop.cli.output import print_json
from hwloop.errors import UsageError


def export(
    candidates: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CANDIDATE]...",
            help="Candidates' files, SPACE@SEED, SPACE@smallest, SPACE@largest, or ONNX files to quantize. "
            "For bundles also ONNX files as they are, or the id of a measurement.",
        ),
    ] = None,
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FOLDER", help="Where the ONNX files go.")] = Path(),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PLACE", help="Write a bundle: a .zip, a .tar, a .tar.gz, or a folder."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="Of a bundle: the device that it is for.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="TRIPLE", help="Of a bundle, in place of -d: as aarch64-linux-gnu.")
    ] = None,
    cpu: Annotated[str | None, typer.Option(help="With --target: LLVM's name of the CPU, as cortex-a72.")] = None,
    feature: Annotated[list[str] | None, typer.Option(help="With --target: as +dotprod; repeatable.")] = None,
    glibc: Annotated[str, typer.Option(help="With --target: the oldest glibc.")] = "2.28",
    python: Annotated[str, typer.Option(help="With --target and -r onnxruntime: the Python there.")] = "3.11",
    runtime: Annotated[
        str | None,
        typer.Option(
            "--runtime", "-r", help="Of a bundle: tvm (small) or onnxruntime.  [default: tvm, if the device runs it]"
        ),
    ] = None,
    search: Annotated[
        str | None, typer.Option(metavar="ID", help="Of a bundle, in place of a model: the winner of this search.")
    ] = None,
    rule: Annotated[
        str,
        typer.Option(help="Which one wins: fastest, smallest or 'most accurate', perhaps 'with accuracy>=0.9'."),
    ] = "fastest",
    sign: Annotated[Path | None, typer.Option(metavar="KEY", help="Sign the bundle with this Ed25519 key.")] = None,
    devices_file: Annotated[
        Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")
    ] = None,
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

    With -o, write a bundle for a device (-d) or a --target instead: the built model, the runtime that it needs there,
    reference inputs and outputs, samples in Python and C, and verify.py, which proves with python3 alone that all of it
    is right. Of several models, PLACE is a folder of bundles. `hwloop verify` checks bundles.

    \b
    Examples:
      hwloop export model.onnx -d kitchen-pi -o model.zip
      hwloop export model.onnx --policy int8-dynamic -d kitchen-pi -o model.tar.gz --sign release
      hwloop export vit-mini@7 --target aarch64-linux-gnu --cpu cortex-a72 -r onnxruntime -o bundle
      hwloop export 019c2f5a -o measured.zip
      hwloop export --search 019c2f60 --rule "fastest with accuracy>=0.9" -o winner.zip
      hwloop export vit-mini@largest --onnx models
      hwloop export --space hat-small --sample 3 --policy int8-dynamic --shape length=20 --onnx models
      hwloop export candidates.yaml --onnx models --json
      hwloop export model.onnx --policy int8-static --calibrate data.npz --calibration entropy --onnx quantized
    """
    asked = Asked(candidates or [], space, sample, policy or [], weights, seed, calibrate, calibration)
    if output:
        options = BundleOptions(output, device, target, cpu, feature or [], glibc, python, runtime, sign, devices_file)
        options = replace(options, search=search, rule=rule)
        export_bundles(asked, parse_shapes(shape or []), options, as_json=as_json)
        return
    if device or target or runtime or sign or search:
        raise UsageError(
            "-d, --target, -r, --search and --sign are of bundles", remedy="Say where the bundle goes: -o FILE.zip."
        )
    if asked.paths() and not asked.policy:
        raise UsageError(
            f"{asked.paths()[0]} is no candidate",
            remedy="Name a candidate's file or SPACE@SEED; an ONNX file needs a --policy, or -o for a bundle.",
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
