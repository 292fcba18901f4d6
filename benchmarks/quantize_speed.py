"""How fast models are quantized, and what each scheme does to their latency and size on ONNX Runtime.

    python benchmarks/quantize_speed.py
    python benchmarks/quantize_speed.py --exports 1000 --rounds 30   # memory over a thousand exports
    python benchmarks/quantize_speed.py --only vit --calls 50
    python benchmarks/quantize_speed.py --only rows                  # one layer, by how many rows it is given

For a ViT-tiny (12 layers, 224²) and a ResNet-50 (128²), on one core: seconds of processor time of `quantize` with
serialization, for each scheme and for a random mixture of all (`models_per_s`); the peak memory before and after many
exports (`growth_mb`); then latency of one thread, in turns, against fp32 (`ratio`) and against what ONNX Runtime's own
quantizer makes of the same model (`library_ms`, `library_s`), size, and the relative error of the outputs. Models are
raised to opset 21 first, which hwloop's own exporter writes. Latencies are processor time of the one thread that
computes, taken in this process, so that other load counts little; for those that count, use `hwloop compare`. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from rich.console import Console
from rich.table import Table

from hwloop.exporter.quantize.calibrate import calibrate
from hwloop.exporter.quantize.layers import layers_of
from hwloop.exporter.quantize.quantize import quantize
from hwloop.exporter.quantize.ranges import Ranges
from hwloop.exporter.quantize.versions import at_least
from hwloop.records import QuantPolicy, Scheme
from hwloop.testing.networks.quantized import dynamic_int8, static_int8
from hwloop.testing.networks.resnet import resnet
from hwloop.testing.networks.vit import vit

MODELS: dict[str, tuple[Callable[[Path], Path], int]] = {
    "vit_tiny": (vit, 224),
    "resnet50_128": (partial(resnet, size=128), 128),
}
LIBRARY = {Scheme.INT8_DYNAMIC: dynamic_int8, Scheme.INT8_STATIC: static_int8}
MIXED = "mixed"
OPSET = 21


def main() -> None:
    """Run the benchmark, print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="models with this in their name, or `rows`")
    parser.add_argument("--rounds", type=int, default=10, help="exports that are timed, for each scheme")
    parser.add_argument("--exports", type=int, default=100, help="exports over which memory is watched")
    parser.add_argument("--calls", type=int, default=30, help="timed calls of each model")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for model, (write, size) in MODELS.items():
            if options.only in model:
                found[model] = measure(write(Path(name) / f"{model}.onnx"), size, options)
                show(model, found[model])
    if options.only in "rows":
        found["rows"] = by_rows(options.calls)
        show("one layer of 1024 by 4096, ms", found["rows"])
    slowest = {model: cases[MIXED]["models_per_s"] for model, cases in found.items() if MIXED in cases}
    print(json.dumps({**found, "models_per_s": slowest}))


def measure(path: Path, size: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return what was found of one model, by scheme."""
    model = at_least(onnx.load(path), OPSET)
    images = [np.random.default_rng(seed).standard_normal((1, 3, size, size), dtype=np.float32) for seed in range(4)]
    ranges = calibrate(model, [{"image": image} for image in images])
    layers = [layer.name for layer in layers_of(model)]
    policies = {scheme.value: QuantPolicy({"*": scheme}) for scheme in Scheme}
    policies[MIXED] = mixture(layers)
    cases: dict[str, Any] = {name: speed(model, rules, ranges, options.rounds) for name, rules in policies.items()}
    cases[MIXED]["growth_mb"] = growth_mb(model, layers, ranges, options.exports)
    files = {name: quantize(model, rules, ranges).SerializeToString() for name, rules in policies.items()}
    for scheme, by_library in LIBRARY.items():
        start = time.process_time()
        files[f"library {scheme}"] = by_library(path, path.with_suffix(f".{scheme}.onnx")).read_bytes()
        cases[scheme.value]["library_s"] = time.process_time() - start
    samples, outputs = latencies(files, images[0], options.calls)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    for name, case in cases.items():
        error = np.linalg.norm(outputs[name] - outputs["fp32"]) / np.linalg.norm(outputs["fp32"])
        case |= {"size_mb": len(files[name]) / 1e6, "median_ms": medians[name], "min_ms": min(samples[name])}
        case |= {"ratio": medians[name] / medians["fp32"], "relative_error": float(error)}
        if (library := f"library {name}") in samples:
            case |= {"library_ms": medians[library], "library_min_ms": min(samples[library])}
    return cases


def mixture(layers: list[str], seed: int = 0) -> QuantPolicy:
    """Return a policy with a random scheme for each layer."""
    draw = random.Random(seed)
    return QuantPolicy({layer: draw.choice(list(Scheme)) for layer in layers})


def speed(model: onnx.ModelProto, policy: QuantPolicy, ranges: Ranges, rounds: int) -> dict[str, float]:
    """Return models a second of processor time, by the median."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        quantize(model, policy, ranges).SerializeToString()
        seconds.append(time.process_time() - start)
    return {"models_per_s": 1 / statistics.median(seconds)}


def growth_mb(model: onnx.ModelProto, layers: list[str], ranges: Ranges, exports: int) -> float:
    """Return by how much the peak memory grows over many exports, after the first ten."""
    peak = 0
    for seed in range(exports):
        quantize(model, mixture(layers, seed), ranges).SerializeToString()
        if seed == 9:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024 / 1e6


def latencies(
    files: Mapping[str, bytes], image: np.ndarray, calls: int
) -> tuple[dict[str, list[float]], dict[str, np.ndarray]]:
    """Return the milliseconds of each model's calls, in turns, and its outputs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {
        name: ort.InferenceSession(file, options, providers=["CPUExecutionProvider"]) for name, file in files.items()
    }
    outputs = {name: session.run(None, {"image": image})[0] for name, session in sessions.items()}
    samples: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(calls):
        for name, session in sessions.items():
            start = time.thread_time()
            session.run(None, {"image": image})
            samples[name].append((time.thread_time() - start) * 1e3)
    return samples, outputs


def by_rows(calls: int) -> dict[str, dict[str, float]]:
    """Return the median milliseconds of one layer in each scheme, by the rows that it is given."""
    weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((1024, 4096), dtype=np.float32), "w")
    found = {}
    for rows in (1, 8, 32, 197):
        image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, rows, 1024])
        result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, rows, 4096])
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["image", "w"], ["y"])], "graph", [image], [result], [weight]
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        x = np.random.default_rng(rows).standard_normal((1, rows, 1024), dtype=np.float32)
        ranges = calibrate(model, [{"image": x}])
        files = {str(s): quantize(model, QuantPolicy({"*": s}), ranges).SerializeToString() for s in Scheme}
        samples, _ = latencies(files, x, calls)
        found[f"{rows} rows"] = {name: statistics.median(values) for name, values in samples.items()}
    return found


def show(model: str, cases: Mapping[str, Mapping[str, float]]) -> None:
    """Print one model's table."""
    columns = list(dict.fromkeys(column for case in cases.values() for column in case))
    table = Table(title=model)
    for column in ("scheme", *columns):
        table.add_column(column, justify="left" if column == "scheme" else "right")
    for name, case in cases.items():
        table.add_row(name, *(f"{case[column]:.3g}" if column in case else "" for column in columns))
    Console(width=170).print(table)


if __name__ == "__main__":
    main()
