"""What hwloop adds to the timing of many small models: the share of wall time in which a device is timing.

    python benchmarks/measure_overhead.py [--models 30] [--seconds 2] [--emulated-models 3]

Measures generated models with ONNX Runtime on this machine directly, and over SSH on loopback, one device after the
other, with the runtimes already there; then a few on the emulated Raspberry Pi 4, which counts instead of timing.
`timing_share` is the time of timed calls by the wall time of the whole run, from the first connection to the last
result in the store; warm-up does not count as timing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from hwloop.devices.fleet import Device, EmulatedDevice, LocalDevice, SshDevice
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.measure import MeasureJob, Outcome, measure
from hwloop.measure.job import Silent
from hwloop.measure.workload import load_workloads
from hwloop.records import TimingProtocol
from hwloop.store import Store
from hwloop.testing.models import perceptron
from hwloop.testing.sshd import running_sshd


def main() -> None:
    """Run the benchmark, print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=2.0, help="of timed calls for each model")
    parser.add_argument("--emulated-models", type=int, default=3, help="0 leaves the emulated device out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [small_model(folder / f"model{index}.onnx", index) for index in range(options.models)]
        cases = {"local": run_case(Device("local", LocalDevice(transport="local")), paths, options.seconds, folder)}
        with running_sshd() as server:
            os.environ["HWLOOP_CONFIG_DIR"] = str(folder)
            (folder / "known_hosts").write_text(f"loopback {server.host_key}\n")
            settings = SshDevice(
                transport="ssh",
                host=server.host,
                user=server.user,
                port=server.port,
                key_file=str(server.key_file),
                python=sys.executable,
            )
            cases["ssh"] = run_case(Device("loopback", settings), paths, options.seconds, folder)
        if options.emulated_models:
            board = Device("pi4", EmulatedDevice(transport="emulated", board="pi4"))
            cases["emulated"] = run_case(board, paths[: options.emulated_models], options.seconds, folder)
    report(cases)


def small_model(path: Path, index: int) -> Path:
    """Write a perceptron of two or three layers, another size for each index."""
    widths = np.random.default_rng(index).integers(128, 513, 3 + index % 2)
    return perceptron(path, [int(width) for width in widths], rows=16, seed=index)


def run_case(device: Device, paths: list[Path], seconds: float, folder: Path) -> dict[str, float]:
    """Measure all models on one device twice, the first time to bring the runtime there; describe the second."""
    protocol = TimingProtocol(seconds=seconds, relative_width=0.0, max_calls=1_000_000)
    first = TimingProtocol(seconds=0.01, processes=1)
    with Store.open(folder / f"{device.name}.sqlite") as store:
        measure(
            MeasureJob(load_workloads(paths[:1], {}, {}, 0), [device], [OnnxRuntime()], first),
            store,
            Silent(),
        )
        start = time.perf_counter()
        workloads = load_workloads(paths, {}, {}, 0)
        loading_s = time.perf_counter() - start
        outcome = measure(MeasureJob(workloads, [device], [OnnxRuntime()], protocol), store, Silent())
        wall_s = time.perf_counter() - start
    return describe(device.name, outcome, wall_s, loading_s)


def describe(name: str, outcome: Outcome, wall_s: float, loading_s: float) -> dict[str, float]:
    """Return where the wall time went, in seconds, and the share of it that was timing."""
    for error in outcome.device_errors:
        raise error
    clock = outcome.clocks[name]
    models = len(outcome.measurements)
    spent = {"timing_s": clock.timed_s, "warmup_s": clock.warmup_s, "connecting_s": clock.open_s}
    spent["in_processes_otherwise_s"] = clock.job_s - clock.timed_s - clock.warmup_s
    spent["loading_models_s"] = loading_s
    spent["waiting_for_host_s"] = clock.idle_s
    spent["rest_s"] = wall_s - sum(spent.values())
    host_s = wall_s - clock.job_s - clock.open_s
    return {
        "models": models,
        "wall_s": wall_s,
        "timing_share": clock.timed_s / wall_s,
        "host_ms_per_model": host_s * 1000 / models,
        **spent,
    }


def report(cases: dict[str, dict[str, float]]) -> None:
    """Print a table and one line of JSON."""
    table = Table("", *cases, title="Where the wall time of a measuring run goes")
    for row in next(iter(cases.values())):
        table.add_row(row, *(f"{case[row]:.3f}" for case in cases.values()))
    Console(width=100).print(table)
    rounded = {name: {key: round(value, 4) for key, value in case.items()} for name, case in cases.items()}
    timed = [case["timing_share"] for name, case in cases.items() if name != "emulated"]
    print(json.dumps({**rounded, "timing_share": round(min(timed), 4)}))


if __name__ == "__main__":
    main()
