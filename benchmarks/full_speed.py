"""What `full_speed: true` is worth where other guests slow the processor: medians with it and without it, in turns.

    python benchmarks/full_speed.py --sessions 20

Each session measures the same small networks anew with ONNX Runtime, once with it and once without. `spread_percent` is
the coefficient of variation of a network's medians over all sessions, the mean of the networks; `ratio` how the medians
compare. Where nobody disturbs, both ways give the same. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from hwloop.devices.fleet import Device, LocalDevice
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.measure import MeasureJob, measure
from hwloop.measure.job import Silent
from hwloop.measure.workload import load_workloads
from hwloop.records import Measurement, TimingProtocol, Verdict
from hwloop.store import Store
from hwloop.testing.models import conv_net, perceptron

WAYS = {"usual": False, "full speed": True}


def main() -> None:
    """Run the benchmark and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3.0, help="most seconds of timed calls a measurement takes")
    parser.add_argument("--width", type=float, default=0.03, help="relative width of the interval that ends one")
    options = parser.parse_args()
    protocol = TimingProtocol(seconds=options.seconds, relative_width=options.width)
    medians: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    invalid, seconds = dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0.0)
    with tempfile.TemporaryDirectory() as name, Store.open(Path(name) / "store.sqlite") as store:
        files = [perceptron(Path(name) / "mlp.onnx", [256] * 21, 16), conv_net(Path(name) / "conv.onnx", 32, 64)]
        workloads = load_workloads(files, {}, {}, 0)
        for _ in track(range(options.sessions), "sessions", console=Console(stderr=True)):
            for way, full_speed in WAYS.items():
                here = Device("local", LocalDevice(transport="local", full_speed=full_speed))
                start = time.monotonic()
                found = measure(MeasureJob(workloads, [here], [OnnxRuntime()], protocol, fresh=True), store, Silent())
                seconds[way] += time.monotonic() - start
                invalid[way] += sum(one.verdict is not Verdict.VALID for one in found.measurements)
                medians[way].append([median_ms(one) for one in found.measurements])
    figures: dict[str, Any] = {
        way: {
            "spread_percent": statistics.fmean(map(spread_percent, zip(*medians[way], strict=True))),
            "median_ms": [statistics.median(one) for one in zip(*medians[way], strict=True)],
            "invalid": invalid[way],
            "measured": options.sessions * len(files),
            "seconds": seconds[way],
        }
        for way in WAYS
    }
    pairs = zip(figures["full speed"]["median_ms"], figures["usual"]["median_ms"], strict=True)
    print(json.dumps({**figures, "ratio": [one / other for one, other in pairs]}))


def median_ms(measurement: Measurement) -> float:
    """Return the median; end the benchmark where nothing was timed."""
    if measurement.summary.median_ms is None:
        raise SystemExit(f"{measurement.subject.model}: {'; '.join(measurement.reasons)}")
    return measurement.summary.median_ms


def spread_percent(values: tuple[float, ...]) -> float:
    """Return the coefficient of variation."""
    return 100 * statistics.stdev(values) / statistics.fmean(values)


if __name__ == "__main__":
    main()
