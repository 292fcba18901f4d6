"""How long it takes to tell what a model costs from its graph.

    python benchmarks/kernel_speed.py [--repeats 20]

Writes networks of several families, reads each once, and cuts it into kernels again and again on one core. `first_ms`
is the first time, with nothing remembered of such nodes; `median_ms` the median of the others; `load_ms` what reading
the file takes, for comparison.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import onnx
from rich.console import Console
from rich.table import Table

from hwloop.exporter.costs import costs_of
from hwloop.exporter.kernels.inference import inferred_outputs
from hwloop.testing.networks.suites import CNNS, INT8, TRANSFORMERS

T = TypeVar("T")

NETWORKS = {
    **{name: TRANSFORMERS[name] for name in ("vit_tiny", "vit_640", "minilm_128", "hat_512")},
    **{name: CNNS[name] for name in ("resnet50_224", "mobilenet_224")},
    **{name: INT8[name] for name in ("vit_tiny_dynamic", "vit_tiny_static")},
}


def main() -> None:
    """Run the benchmark, print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases = {name: run_case(write, Path(folder), options.repeats) for name, write in NETWORKS.items()}
    table = Table("network", "nodes", "kernels", "load ms", "first ms", "median ms", box=None)
    for name, case in cases.items():
        table.add_row(name, *(f"{case[key]:g}" for key in ("nodes", "kernels", "load_ms", "first_ms", "median_ms")))
    Console().print(table)
    print(json.dumps({**cases, "models_per_s": round(1e3 / cases["vit_tiny"]["median_ms"], 1)}))


def run_case(write: Callable[[Path], Path], folder: Path, repeats: int) -> dict[str, float]:
    """Describe one network."""
    path = write(folder / "model.onnx")
    load_ms, model = timed(lambda: onnx.load(path))
    inferred_outputs.cache_clear()
    bytes_ = path.stat().st_size
    first_ms, costs = timed(lambda: costs_of(model, {}, bytes_))
    again = [timed(lambda: costs_of(model, {}, bytes_))[0] for _ in range(repeats)]
    return {
        "nodes": len(model.graph.node),
        "kernels": len(costs.kernels),
        "load_ms": round(load_ms, 1),
        "first_ms": round(first_ms, 1),
        "median_ms": round(statistics.median(again), 1),
    }


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return the milliseconds that some work took, and what came of it."""
    start = time.perf_counter()
    made = work()
    return (time.perf_counter() - start) * 1e3, made


if __name__ == "__main__":
    main()
