"""How well latencies of unseen candidates are predicted, on devices of one's own.

    python benchmarks/predictor_own.py --space vit-mini --space hat-small --runtime onnxruntime --runtime tvm
    python benchmarks/predictor_own.py --device pi4 --space vit-mini --seconds 1   # emulated: instructions of a call

Draws `--train` and `--test` candidates of each space, uniformly, measures them or takes them from the store, and splits
those that are VALID at random in the same proportion, `--splits` times: the predictor learns from one part and
predicts the other, which it has not seen. Figures are means over the splits; `coverage_percent` is the share of
measurements inside their 90 % intervals. Of candidates of several parts, each part is a row. `--policies` draws a
quantization scheme for each block of a candidate, out of those that the runtime can run. The last line is JSON: each
case under its name, and the means of all at the top.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hwloop.cli.progress import Progress
from hwloop.devices.fleet import load_fleet
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.learning.evaluating import on_holdout
from hwloop.learning.fitting import Fitting
from hwloop.learning.measuring import Measuring
from hwloop.learning.pool import Wanted, draw_candidates
from hwloop.learning.recipe import FeatureKind
from hwloop.learning.rows import rows_of
from hwloop.paths import store_path
from hwloop.records import TimingProtocol
from hwloop.store import Store

RUNTIMES = {"onnxruntime": OnnxRuntime, "tvm": Tvm}
SUMMARY = ("mape_percent", "within_5_percent", "within_10_percent", "spearman", "kendall", "coverage_percent")


def main() -> None:
    """Run the benchmark, print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", action="append", required=True, help="repeatable")
    parser.add_argument("--runtime", action="append", choices=RUNTIMES, help="repeatable; onnxruntime if none")
    parser.add_argument("--device", default="local", help="a device of the fleet file")
    parser.add_argument("--devices", type=Path, help="the fleet file, in place of ./devices.yaml")
    parser.add_argument("--train", type=int, default=100, help="candidates to learn from")
    parser.add_argument("--test", type=int, default=30, help="candidates to predict")
    parser.add_argument("--splits", type=int, default=10, help="random splits into the two")
    parser.add_argument("--features", default="kernels", choices=list(FeatureKind))
    parser.add_argument("--policies", action="store_true", help="draw quantization policies, too")
    parser.add_argument("--seconds", type=float, default=3.0, help="most seconds of timed calls a measurement takes")
    parser.add_argument("--width", type=float, default=0.02, help="relative width of the interval that ends one")
    parser.add_argument("--processes", type=int, default=3, help="fresh processes a measurement, at least")
    parser.add_argument("--calls", type=int, default=64, help="calls a measurement, at least: fewer for slow networks")
    parser.add_argument("--batch", type=int, default=20, help="candidates whose files lie on the disk at once")
    parser.add_argument("--seed", type=int, default=0, help="of the candidates")
    options = parser.parse_args()
    found = {
        f"{space} {runtime}": measure(space, runtime, options)
        for space in options.space
        for runtime in options.runtime or ["onnxruntime"]
    }
    show(found, options.device)
    means = {name: round(statistics.fmean(case[name] for case in found.values()), 3) for name in SUMMARY}
    print(json.dumps({**found, **means}))


def measure(space: str, runtime: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one space with one runtime."""
    wanted = Wanted(space, options.train + options.test, options.seed, options.policies, runtime=runtime)
    candidates = draw_candidates(wanted)
    device = load_fleet(options.devices).select([options.device])[0]
    protocol = TimingProtocol(
        processes=options.processes,
        seconds=options.seconds,
        relative_width=options.width,
        min_calls=options.calls,
        seed=options.seed,
    )
    with Store.open(store_path()) as store:
        with Progress() as progress:
            measuring = Measuring(store, device, RUNTIMES[runtime](), protocol, progress, seed=options.seed)
            for start in range(0, len(candidates), options.batch):
                measuring(candidates[start : start + options.batch])
        rows = rows_of(store, device.name, runtime)
    share = options.test / (options.train + options.test)
    fitting = Fitting(FeatureKind(options.features))
    evaluation = on_holdout(fitting, rows.of_candidates(set(candidates)), share, options.splits)
    counts = {"trained": evaluation.trained, "tested": evaluation.tested, "unit": evaluation.unit}
    return {**counts, **evaluation.figures}


def show(found: dict[str, dict[str, Any]], device: str) -> None:
    """Print a table with a line for each case."""
    table = Table("case", "learned from", "tested", "MAPE %", "± 10 %", "Spearman", "90 % holds", "RMSE", title=device)
    for name, case in found.items():
        unit = case["unit"]
        table.add_row(
            name,
            str(case["trained"]),
            str(case["tested"]),
            f"{case['mape_percent']:.1f}",
            f"{case['within_10_percent']:.0f}",
            f"{case['spearman']:.3f}",
            f"{case['coverage_percent']:.0f} %",
            f"{case[f'rmse_{unit}']:.4g} {unit}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
