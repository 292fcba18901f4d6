"""Whether hwloop's numbers can be trusted: false alarms, power, repeatability, faults, scale.

    python benchmarks/trust.py [--parts aa power repeatability faults scale] [--results trust.json]

aa             a model compared with itself, again and again, while a neighbour loads the machine on and off: how often
               a difference is claimed (wanted: at most 1 %)
power          the same for a model with 5 % more layers: how often it is called slower (wanted: at least 90 %)
repeatability  the spread of hwloop's median over ten sessions, beside that of a plain mean of 100 runs
faults         processes killed at random points: what is lost, what is wrong (wanted: nothing)
scale          100 simulated devices and 100,000 measurements

All of it takes about an hour and a half. With --results each part is kept when it is done, and is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from background_load import loaded_on_and_off
from fleet_scale import run as run_simulation
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hwloop.compare.attempts import compare, protocol_for
from hwloop.compare.contenders import find_contenders
from hwloop.devices.fleet import Device, LocalDevice
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.records.comparison import Comparison, Finding
from hwloop.store import Store
from hwloop.testing.kills import kill_campaign
from hwloop.testing.models import conv_net, perceptron

Figures = dict[str, object]
LAYERS, WIDTH, ROWS = 20, 256, 16
SLOWER_LAYERS = 21  # 5 % more work
SESSIONS, PLAIN_RUNS = 10, 100


def main() -> None:
    """Run the parts, print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--results", type=Path, help="a JSON file that keeps what is done")
    parser.add_argument("--aa-comparisons", type=int, default=200)
    parser.add_argument("--aa-seconds", type=float, default=10.0)
    parser.add_argument("--power-comparisons", type=int, default=50)
    parser.add_argument("--power-seconds", type=float, default=28.0)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    done: Figures = json.loads(options.results.read_text()) if options.results and options.results.exists() else {}
    for name in options.parts:
        if name not in done:
            done[name] = PARTS[name](options)
            if options.results:
                options.results.write_text(json.dumps(done))
    show(done)
    print(json.dumps(done))


def compared(a: Path, b: Path, seconds: float, seed: int, store: Store) -> Comparison:
    """Compare two files on this machine, with a cache folder of the benchmark's own."""
    cache = str(store.path.parent / "device")
    local = Device("local", LocalDevice(transport="local", cache_dir=cache))
    words = [str(a), str(b)]
    runtimes = {"onnxruntime": OnnxRuntime()}
    contenders = find_contenders(words, {}, ["onnxruntime"] * 2, runtimes, store, seed)
    return compare(contenders, local, protocol_for(local, seconds, seed=seed), store, lambda text: None)


def repeated(
    a: Path, b: Path, count: int, seconds: float, seed: int, title: str
) -> tuple[list[Comparison], list[float]]:
    """Compare two files many times under load; return the comparisons and the wall seconds of each."""
    found, walls = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "store.sqlite") as store,
        loaded_on_and_off(seed),
    ):
        for index in track(range(count), title, console=Console(stderr=True)):
            start = time.monotonic()
            found.append(compared(a, b, seconds, seed + 1000 * index, store))
            walls.append(time.monotonic() - start)
            judgement = found[-1].judgement
            print(f"{title}: {judgement.finding.value}, {judgement.ratio}, {judgement.interval}", file=sys.stderr)
    return found, walls


def summary(found: list[Comparison], walls: list[float]) -> Figures:
    """Return what many comparisons have in common."""
    judgements = [one.judgement for one in found]
    ratios = [one.ratio for one in judgements if one.ratio is not None]
    widths = [one.interval[1] - one.interval[0] for one in judgements if one.interval]
    floors = [one.floor for one in judgements if one.floor is not None]
    return {
        "comparisons": len(found),
        "median_wall_s": statistics.median(walls),
        "longest_wall_s": max(walls),
        "median_ratio": statistics.median(ratios),
        "ratio_quartiles": statistics.quantiles(ratios, n=4)[::2],
        "median_interval_width_percent": 100 * statistics.median(widths),
        "median_noise_floor_percent": 100 * statistics.median(floors),
        "median_ms": statistics.median(one.a_median_ms for one in judgements if one.a_median_ms is not None),
    }


def false_alarms(options: argparse.Namespace) -> Figures:
    """Compare models with themselves."""
    with tempfile.TemporaryDirectory() as name:
        half = options.aa_comparisons // 2
        models = {
            "perceptron": (perceptron(Path(name) / "perceptron.onnx", [WIDTH] * (LAYERS + 1), ROWS), half),
            "conv_net": (conv_net(Path(name) / "conv.onnx", 32, 64), options.aa_comparisons - half),
        }
        cases, alarms = {}, 0
        for title, (model, count) in models.items():
            found, walls = repeated(model, model, count, options.aa_seconds, options.seed, f"A/A {title}")
            false = sum(one.judgement.finding is not Finding.NONE for one in found)
            cases[title] = {**summary(found, walls), "false_different": false}
            alarms += false
    count = options.aa_comparisons
    return {"comparisons": count, "false_different": alarms, "false_different_percent": 100 * alarms / count, **cases}


def power(options: argparse.Namespace) -> Figures:
    """Compare a model with one that has 5 % more layers."""
    with tempfile.TemporaryDirectory() as name:
        a = perceptron(Path(name) / "a.onnx", [WIDTH] * (LAYERS + 1), ROWS)
        b = perceptron(Path(name) / "b.onnx", [WIDTH] * (SLOWER_LAYERS + 1), ROWS)
        found, walls = repeated(a, b, options.power_comparisons, options.power_seconds, options.seed, "5 % slower")
    slower = sum(one.judgement.finding is Finding.SLOWER for one in found)
    covered = sum(bool(one.judgement.interval and covers(one.judgement.interval)) for one in found)
    return {
        **summary(found, walls),
        "more_layers_percent": 100 * (SLOWER_LAYERS / LAYERS - 1),
        "called_slower": slower,
        "called_slower_percent": 100 * slower / len(found),
        "interval_holds_1.05_percent": 100 * covered / len(found),
    }


def covers(interval: tuple[float, float]) -> bool:
    """Whether an interval holds the ratio that the number of layers says."""
    return interval[0] <= SLOWER_LAYERS / LAYERS <= interval[1]


PLAIN = """
import sys, time, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
feed = {one.name: numpy.random.rand(*one.shape).astype("float32") for one in session.get_inputs()}
start = time.time()
for _ in range(int(sys.argv[2])):
    session.run(None, feed)
print((time.time() - start) * 1000 / int(sys.argv[2]))
"""


def repeatability(options: argparse.Namespace) -> Figures:
    """Alternate hwloop's sessions with plain scripts, in quiet and beside the neighbour."""
    quiet = sessions(options)
    with loaded_on_and_off(options.seed):
        loaded = sessions(options)
    return {"quiet": quiet, "loaded": loaded}


def sessions(options: argparse.Namespace) -> Figures:
    """Return the spread of ten of hwloop's medians and of ten plain means, taken in turns."""
    medians, means = [], []
    with tempfile.TemporaryDirectory() as name:
        model = conv_net(Path(name) / "conv.onnx", 32, 64)
        environment = {**os.environ, "HWLOOP_STORE": f"{name}/store.sqlite", "ORT_DISABLE_TELEMETRY": "1"}
        hwloop = [sys.executable, "-m", "hwloop", "measure", str(model), "-d", "local", "-r", "onnxruntime"]
        (Path(name) / "devices.yaml").write_text("devices:\n  local: {transport: local}\n")
        for _ in track(range(SESSIONS), "sessions", console=Console(stderr=True)):
            measured = run([*hwloop, "--fresh", "--json", "--devices", f"{name}/devices.yaml"], environment)
            medians.append(json.loads(measured)[0]["median_ms"])
            means.append(float(run([sys.executable, "-c", PLAIN, str(model), str(PLAIN_RUNS)], environment)))
    return {
        "sessions": SESSIONS,
        "median_ms": statistics.median(medians),
        "cv_percent_of_hwloop_median": spread(medians),
        "plain_mean_ms": statistics.median(means),
        "cv_percent_of_plain_mean": spread(means),
    }


def run(command: list[str], environment: dict[str, str]) -> str:
    """Return what a command prints; hwloop may say with its exit code that the machine was not quiet."""
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=300, check=True).stdout


def spread(values: list[float]) -> float:
    """Return the coefficient of variation in percent."""
    return 100 * statistics.stdev(values) / statistics.fmean(values)


def faults(options: argparse.Namespace) -> Figures:
    """Kill processes of measuring runs at random points."""
    with tempfile.TemporaryDirectory() as name:
        local = Path(name) / "local"
        local.mkdir()
        settings = {"transport": "local", "cache_dir": str(local / "device"), "limits": {"settle_s": 0}}
        found = kill_campaign(local, settings, options.kills, options.seed)
    return {
        "kills": found.kills.total(),
        "kinds": dict(found.kills),
        "runs": found.rounds,
        "measurements": found.measurements,
        "measurements_lost": len(found.lost),
        "wrong_results_stored": len(found.wrong),
        "left_behind": len(found.remains),
        "longest_until_done_s": found.longest_command_s,
    }


def scale(options: argparse.Namespace) -> dict[str, float]:
    """Simulate a large fleet."""
    return run_simulation(100, 100_000)


PARTS: dict[str, Callable[[argparse.Namespace], Figures | dict[str, float]]] = {
    "aa": false_alarms,
    "power": power,
    "repeatability": repeatability,
    "faults": faults,
    "scale": scale,
}


def show(done: Figures) -> None:
    """Print every figure."""
    table = Table("part", "figure", "value")
    for part, figures in done.items():
        assert isinstance(figures, dict)
        for name, value in figures.items():
            rows = value.items() if isinstance(value, dict) else [("", value)]
            for detail, shown in rows:
                words = f"{shown:.4g}" if isinstance(shown, float) else str(shown)
                table.add_row(part, f"{name} {detail}".strip(), words)
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    main()
