"""hwloop's TVM build against ONNX Runtime: the same models and inputs, in turns on one device.

    python benchmarks/tvm_vs_ort.py                                  # transformers and CNNs, fp32, one thread
    python benchmarks/tvm_vs_ort.py model.onnx --shape batch=1 --threads 2
    python benchmarks/tvm_vs_ort.py --int8                           # quantized transformers; also against own fp32
    python benchmarks/tvm_vs_ort.py --suite int8 --only minilm
    python benchmarks/tvm_vs_ort.py --suite transformers --device pi4   # instructions per call, emulated

Each model is compiled afresh, then both runtimes take turns in fresh processes on the leased device, as in
`hwloop compare`. `ratio` is TVM's time by ONNX Runtime's, with its 99 % interval; `compile_s` the seconds of processor
time that compiling and linking took, `compiler_peak_mb` the most memory that one of the processes had. On an emulated
device `ort_ms` and `tvm_ms` are millions of instructions. With `--int8`, `own_fp32` is TVM's time by what TVM's own
build of the network takes from which the model was quantized. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

from hwloop.compare.attempts import compare, protocol_for
from hwloop.compare.contenders import FileContender
from hwloop.deadline import Deadline
from hwloop.devices.fleet import Device, EmulatedDevice, LocalDevice
from hwloop.errors import HwloopError
from hwloop.exporter.compile_cache import CompileCache
from hwloop.exporter.model import Model
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.measure.workload import Workload, load_workloads
from hwloop.records import Artifact, Failure, Target
from hwloop.records.comparison import Comparison
from hwloop.store import Store
from hwloop.store.comparisons import Comparisons
from hwloop.testing.networks.suites import suites

DEVICES = {
    "local": Device("local", LocalDevice(transport="local")),
    "pi4": Device("pi4", EmulatedDevice(transport="emulated", board="pi4")),
}
# Sizes of symbolic dimensions that known models have; any other is 1.
SIZES = {"sequence_length": 32, "sequence": 576}


@dataclass
class Case:
    """What was found of one model; times in milliseconds, or millions of instructions."""

    suite: str
    ort_ms: float | None = None
    tvm_ms: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    compile_s: float | None = None
    compiler_peak_mb: float | None = None
    agree: bool | None = None
    stock_ms: float | None = None
    own_fp32: float | None = None
    problem: str = ""

    def as_json(self) -> dict[str, object]:
        """Return what is known, rounded."""
        found = {name: value for name, value in vars(self).items() if value is not None and value != ""}
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}


class MeteredTvm(Tvm):
    """TVM's runtime with an eye on the compiler."""

    def __init__(self, cache: Path, case: Case) -> None:
        super().__init__(CompileCache(cache))
        self._folder = cache
        self._case = case
        self.target: Target | None = None

    def build(self, model: Model, target: Target, version: str, deadline: Deadline) -> Artifact | Failure:
        """Build in a process of its own, whose children are then this build's alone."""
        self.target = target
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            seconds, peak_kib = pool.submit(_build, self._folder, model, target, version, deadline.remaining_s).result()
        self._case.compile_s, self._case.compiler_peak_mb = seconds, peak_kib * 1024 / 1e6
        return super().build(model, target, version, deadline)


def _build(cache: Path, model: Model, target: Target, version: str, seconds: float) -> tuple[float, int]:
    """Compile into a cache; return the processor time and the peak memory of the processes that did."""
    Tvm(CompileCache(cache)).build(model, target, version, Deadline.after(seconds))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime, used.ru_maxrss


def main() -> None:
    """Run the benchmark, print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--suite", action="append", choices=sorted(suites()))
    parser.add_argument("--int8", action="store_true", help="the suite int8, compared with TVM's own fp32, too")
    parser.add_argument("--only", default="", help="of the suites' models, those with this in their name")
    parser.add_argument("--device", choices=DEVICES, default="local")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="of comparing each model")
    parser.add_argument("--shape", action="append", default=[], metavar="NAME=SIZE", help="of a symbolic dimension")
    parser.add_argument("--stock", action="store_true", help="time TVM's stock pipeline on this machine, too")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shapes = {name: int(size) for name, _, size in (text.partition("=") for text in options.shape)}
    cases: dict[str, Case] = {}
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as name, Store.open(Path(name) / "store.sqlite") as store:
        folder = Path(name)
        for suite, label, path in chosen(options, folder):
            case = cases[label] = Case(suite)
            try:
                workload = load(path, shapes, options.seed)
                target = measure(workload, case, options, store, folder / "compiled")
                if options.stock and target:
                    case.stock_ms = stock_ms(workload, target, options.threads)
                source = path.with_suffix(".fp32.onnx")
                if options.int8 and source.exists():
                    case.own_fp32 = own_ratio(source, workload, shapes, options, store, folder / "compiled")
            except HwloopError as problem:
                case.problem = str(problem).splitlines()[0]
            console.print(f"{label}: {case.problem or f'{case.ratio:.3f}'}", highlight=False)
            path.unlink() if path not in options.models else None
    report(cases, options)


def chosen(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield each model's suite, name and file; those of the suites are written when their turn comes."""
    for path in options.models:
        yield "given", path.stem, path
    known = suites()
    asked = [*(options.suite or []), *(["int8"] if options.int8 else [])]
    for suite in asked or ([] if options.models else ["transformers", "cnns"]):
        for label, write in known[suite].items():
            if options.only in label:
                yield suite, label, write(folder / f"{label}.onnx")


def load(path: Path, shapes: Mapping[str, int], seed: int) -> Workload:
    """Return a model with inputs; symbolic dimensions that were not given have the sizes of known models."""
    graph = onnx.load(path, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    sizes = {}
    for value in graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_value < 1 and value.name not in constants:
                name = dim.dim_param or f"{value.name}:{axis}"
                sizes[name] = shapes.get(name, SIZES.get(name, 1))
    return load_workloads([path], sizes, {}, seed)[0]


def measure(workload: Workload, case: Case, options: argparse.Namespace, store: Store, cache: Path) -> Target | None:
    """Compare ONNX Runtime (A) with TVM (B) on a model, fill in the case and return what was compiled for."""
    device, metered = DEVICES[options.device], MeteredTvm(cache, case)
    contenders = [FileContender(workload, OnnxRuntime()), FileContender(workload, metered)]
    protocol = protocol_for(device, options.seconds, threads=options.threads, seed=options.seed)
    found = compare(contenders, device, protocol, store, lambda _text: None)
    judgement = found.judgement
    case.ratio, case.interval = judgement.ratio, judgement.interval
    case.ort_ms, case.tvm_ms = (typical(found, side, store) for side in (0, 1))
    case.agree = not any(reason.startswith("outputs differ") for reason in judgement.reasons)
    return metered.target


def own_ratio(
    source: Path, workload: Workload, shapes: Mapping[str, int], options: argparse.Namespace, store: Store, cache: Path
) -> float | None:
    """Return the time of TVM's build of a quantized model by that of its build of the network before."""
    device = DEVICES[options.device]
    before = load(source, shapes, options.seed)
    contenders = [FileContender(model, Tvm(CompileCache(cache))) for model in (before, workload)]
    protocol = protocol_for(device, options.seconds, threads=options.threads, seed=options.seed)
    return compare(contenders, device, protocol, store, lambda _text: None).judgement.ratio


def typical(found: Comparison, side: int, store: Store) -> float:
    """Return the median of one side's calls in milliseconds, or in millions of instructions."""
    turns = [turn for one in Comparisons(store).sets(found.id) for turns in one.rounds for turn in turns]
    return statistics.median(call for turn in turns if turn.contestant == side for call in turn.samples) / 1e6


def stock_ms(workload: Workload, target: Target, threads: int) -> float | None:
    """Return what a call takes on this machine as TVM compiles by itself; None where it cannot."""
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / f"{number}.npy" for number in range(len(workload.model.inputs))]
        for file, spec in zip(files, workload.model.inputs, strict=True):
            np.save(file, workload.inputs.arrays[spec.name])
        asked = {
            "model": str(workload.model.path),
            "target": {"kind": "llvm", "mtriple": target.triple, "mcpu": target.cpu, "num-cores": target.num_cores},
            "shapes": {spec.name: list(spec.shape) for spec in workload.model.inputs},
            "inputs": [str(file) for file in files],
        }
        ended = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("stock_tvm.py"))],
            input=json.dumps(asked),
            env={**os.environ, "TVM_NUM_THREADS": str(threads)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    return float(ended.stdout.split()[-1]) if ended.returncode == 0 else None


def report(cases: Mapping[str, Case], options: argparse.Namespace) -> None:
    """Print a table and one line of JSON."""
    unit = "ms" if options.device == "local" else "M instr"
    table = Table(
        "model", f"ORT {unit}", f"TVM {unit}", "TVM / ORT", "compile s", "peak MB", "agree", "stock ms", "/ fp32"
    )
    for label, case in cases.items():
        low, high = case.interval or (math.nan, math.nan)
        ratio = "-" if case.ratio is None else f"{case.ratio:.3f} ({low:.3f}-{high:.3f})"
        agree = {None: "-", True: "yes", False: "NO"}[case.agree]
        cells = [case.ort_ms, case.tvm_ms], [case.compile_s, case.compiler_peak_mb], [case.stock_ms, case.own_fp32]
        times, compiler, stock = ([_short(value) for value in values] for values in cells)
        table.add_row(label, *times, ratio, *compiler, agree, *stock)
    console = Console(width=120)
    console.print(table)
    for label, case in cases.items():
        if case.problem:
            console.print(f"{label}: {case.problem}", highlight=False)
    ratios = {label: round(case.ratio, 4) for label, case in cases.items() if case.ratio}
    by_suite: dict[str, list[float]] = {}
    for label in ratios:
        by_suite.setdefault(cases[label].suite, []).append(ratios[label])
    geomeans = {suite: _geomean(values) for suite, values in by_suite.items()}
    summary = {"device": options.device, "threads": options.threads, "ratios": ratios, "geomeans": geomeans}
    summary["geomean"] = _geomean(list(ratios.values()))
    own = [case.own_fp32 for case in cases.values() if case.own_fp32]
    if own:
        summary["own_fp32_geomean"] = _geomean(own)
    print(json.dumps({**summary, **{label: case.as_json() for label, case in cases.items()}}))


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _geomean(values: Sequence[float]) -> float | None:
    return round(statistics.geometric_mean(values), 4) if values else None


if __name__ == "__main__":
    main()
