"""`hwloop measure`: models on devices, timed and kept."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.cli.candidate_view import part_sums, with_candidates
from hwloop.cli.carrying import devices_by_hand, write_jobs
from hwloop.cli.models import CALIBRATE_HELP, METHOD_HELP, MODEL_HELP, POLICY_HELP, WEIGHTS_HELP, Asked, workloads_for
from hwloop.cli.options import RUNTIMES, installed_runtimes, parse_pairs, parse_shapes, refuse_strange_runtimes
from hwloop.cli.output import BAD_RESULT, DEVICE_FAILED, print_json, say

if TYPE_CHECKING:
    from hwloop.measure import Outcome
    from hwloop.records import TimingProtocol
    from hwloop.search.model_files import ModelFile

INTERRUPTED = 130


def measure(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help=MODEL_HELP, show_default=False)
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", "-d", help="A device or a tag; all devices if none is named."),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option("--runtime", "-r", help="onnxruntime or tvm; all that are installed if none is named."),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SIZE",
            help="The size of a symbolic dimension; of candidates: batch, length, resolution, steps.",
        ),
    ] = None,
    given: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=FILE.npy", help="An input from a file.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="Most seconds of timed calls a measurement takes.")] = 3.0,
    width: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Stop once the median's 95 % interval is this share of it."),
    ] = 0.02,
    processes: Annotated[int, typer.Option(min=1, max=100, help="Fresh processes, at least.")] = 3,
    warmup: Annotated[float, typer.Option(min=0.0, help="Most seconds of warm-up in each process.")] = 0.5,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of the runtime.")] = 1,
    deadline: Annotated[float, typer.Option(min=1.0, help="Seconds after which a process is killed.")] = 120.0,
    space: Annotated[str | None, typer.Option(metavar="SPACE", help="Measure samples of this space, too.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="How many samples of the space.")] = 1,
    policy: Annotated[list[str] | None, typer.Option(metavar="[LAYER=]SCHEME", help=POLICY_HELP)] = None,
    weights: Annotated[str, typer.Option(metavar="WEIGHTS", help=WEIGHTS_HELP)] = "random",
    calibrate: Annotated[Path | None, typer.Option(metavar="FILE.npz", help=CALIBRATE_HELP)] = None,
    calibration: Annotated[str, typer.Option(metavar="METHOD", help=METHOD_HELP)] = "min-max",
    seed: Annotated[int, typer.Option(min=0, help="Of samples, weights, made-up inputs and the order.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what the store has.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for a device that others measure on.")] = True,
    patience: Annotated[float, typer.Option(min=0.0, help="Seconds that a device may fail without progress.")] = 900.0,
    each: Annotated[
        bool, typer.Option("--each", help="Measure everything on each of a tag's equal devices; else they share.")
    ] = False,
    despite_quarantine: Annotated[
        bool, typer.Option("--despite-quarantine", help="Use devices that failed too often, too.")
    ] = False,
    devices_file: Annotated[
        Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(metavar="FILE.pyz", help="The job of a device that it is carried to. [default: job.pyz]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure models on devices, with every runtime, and keep every sample.

    A model is an ONNX file, or a candidate of a search space, whose parts are measured each. For a device that no
    connection reaches (`transport: bundle`) a job is written, which runs there by itself.

    Exit code: 0 all is measured, or says why not; 1 outputs are wrong; 2 wrong usage or input; 3 a device failed.

    \b
    Examples:
      hwloop measure model.onnx -d local
      hwloop measure a.onnx b.onnx -d pi4 -r onnxruntime --shape batch=1
      hwloop measure model.onnx -d arm64 --json > results.json
      hwloop measure --space hat-small --sample 50 --seed 1 -d pi4 -r onnxruntime
      hwloop measure candidates.yaml vit-mini@7 -d local
      hwloop measure model.onnx -d airgapped --job job.pyz
    """
    from hwloop.records import TimingProtocol

    protocol = TimingProtocol(
        processes=processes,
        seconds=seconds,
        relative_width=width,
        warmup_seconds=warmup,
        threads=threads,
        seed=seed,
        process_deadline_s=deadline,
    )
    care = _Care(fresh, wait, patience, each, despite_quarantine)
    asked = Asked(models or [], space, sample, policy or [], weights, seed, calibrate, calibration)
    outcome, files = _run(
        asked, device or [], runtime or [], shape or [], given or [], protocol, care, devices_file, job
    )
    if as_json:
        print_json(with_candidates(outcome.measurements, files))
    elif outcome.measurements:
        _print_table(outcome)
        for line in part_sums(outcome.measurements, files):
            typer.echo(line)
    raise typer.Exit(_exit_code(outcome))


@dataclass(frozen=True)
class _Care:
    """How a run deals with what was measured, and with devices that are busy, equal or failing."""

    fresh: bool
    wait: bool
    patience_s: float
    each: bool
    despite_quarantine: bool


def _run(
    asked: Asked,
    device_names: list[str],
    runtime_names: list[str],
    shapes: list[str],
    inputs: list[str],
    protocol: TimingProtocol,
    care: _Care,
    devices_file: Path | None,
    job_file: Path | None,
) -> tuple[Outcome, dict[str, ModelFile]]:
    """Return what came of the run, and the file that stands behind each model's name."""
    sizes = parse_shapes(shapes)
    files = {name: Path(path) for name, path in parse_pairs("--input", inputs).items()}
    refuse_strange_runtimes(runtime_names)
    from hwloop.devices.fleet import load_fleet

    selected = load_fleet(devices_file).select(device_names)
    carried = devices_by_hand(selected, job_file)
    devices = [device for device in selected if device not in carried]
    from hwloop.cli.progress import Progress
    from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
    from hwloop.exporter.runtimes.tvm import Tvm
    from hwloop.measure import MeasureJob, measure
    from hwloop.paths import store_path
    from hwloop.store import Store

    known = {"onnxruntime": OnnxRuntime, "tvm": Tvm}
    wanted = runtime_names or installed_runtimes()
    chosen = [known[name]() for name in RUNTIMES if name in wanted]
    named = {device.name for device in devices if device.name in device_names}
    tagged = frozenset(device.name for device in devices if device_names) - named
    with workloads_for(asked, sizes, files) as (workloads, found):
        job = MeasureJob(
            workloads,
            devices,
            chosen,
            protocol,
            fresh=care.fresh,
            wait=care.wait,
            patience_s=care.patience_s,
            despite_quarantine=care.despite_quarantine,
            sharing=frozenset() if care.each else tagged,
        )
        with Store.open(store_path()) as store, Progress() as progress:
            outcome = measure(job, store, progress)
            if not outcome.interrupted:
                outcome.measurements += write_jobs(carried, job, job_file, store, progress)
    if outcome.interrupted:
        say("Stopped. What was measured is kept; the same command goes on from there.")
    return outcome, {workload.name: file for workload, file in zip(workloads, found, strict=True)}


def _print_table(outcome: Outcome) -> None:
    from rich.console import Console

    from hwloop.cli.table import measurement_table

    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(measurement_table(outcome.measurements, width=console.width))


def _exit_code(outcome: Outcome) -> int:
    from hwloop.verdict import outputs_differ

    if outcome.interrupted:
        return INTERRUPTED
    if outcome.device_errors:
        return DEVICE_FAILED
    return BAD_RESULT if any(map(outputs_differ, outcome.measurements)) else 0
