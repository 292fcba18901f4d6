"""How well ten measurements of a new device predict 15,625 networks: NAS-Bench-201 on other devices, published by HELP.

    python benchmarks/predictor_transfer.py [--latency FILE.npz] [--architectures FILE.txt] [--target DEVICE ...]
        [--samples 10] [--seeds 20] [--sources FILE.npz] [--source-devices DEVICE ...] [--candidates 1000]

Each seed draws that many candidates; the predictor chooses which of them to measure, and all other networks of the
file are predicted. Known devices are the other devices of --sources (by default the same file, or this benchmark's
usual one where that holds none), never the target, and never the simulators `eyeriss` and `fpga` unless named.
Latencies under 0.5 ms, which no device of these can reach, are not tested on; they are in the data, and may be
measured or be a source's. Without --target every device is one in turn. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from hwloop.predictor.features import Features, Floats
from hwloop.predictor.metrics import accuracy, coverage
from hwloop.predictor.transfer import SOURCE, Transfer

DATA = Path(__file__).parents[1] / "../shared/data/nasbench201"
SIMULATORS = {"eyeriss", "fpga"}
OPERATIONS = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
LEAST_POSSIBLE_MS = 0.5


def encoded(cells: list[str]) -> tuple[list[str], Floats]:
    """Return names and values of an encoding: which operation is on which edge, and how many there are of each."""
    edges = [[edge.split("~")[0] for node in cell.split("+") for edge in node.strip("|").split("|")] for cell in cells]
    names = [f"edge {index}: {operation}" for index in range(len(edges[0])) for operation in OPERATIONS]
    there = [[edge == operation for edge in cell for operation in OPERATIONS] for cell in edges]
    counts = [[cell.count(operation) for operation in OPERATIONS] for cell in edges]
    return [*names, *OPERATIONS], np.column_stack([np.array(there, float), np.array(counts, float)])


def study(
    latencies_ms: Floats, candidates: Features, samples: int, seeds: int, pool: int
) -> tuple[dict[str, float], list[float]]:
    """Return the mean figures of a target over seeds, and Spearman's of each seed."""
    model = Transfer()
    model.learn(candidates)
    runs = []
    for seed in range(seeds):
        drawn = np.random.default_rng(seed).permutation(len(candidates))[:pool]
        measured = drawn[model.choose(candidates.take(drawn), samples)]
        model.fit(candidates.take(measured), latencies_ms[measured])
        told = model.predict(candidates)
        asked = latencies_ms >= LEAST_POSSIBLE_MS
        asked[measured] = False
        known = latencies_ms[asked]
        covered = coverage(known, told.mean_ms[asked], told.low_ms[asked], told.high_ms[asked])
        runs.append(accuracy(known, told.mean_ms[asked]).rounded() | vars(covered))
    means = {key: round(float(np.mean([run[key] for run in runs])), 4) for key in runs[0]}
    return means, [run["spearman"] for run in runs]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=Path, default=DATA / "latency_ms.npz")
    parser.add_argument("--architectures", type=Path, default=DATA / "architectures.txt")
    parser.add_argument("--target", nargs="+", help="devices to take as new; by default every one in turn")
    parser.add_argument("--sources", type=Path, help="a file with known devices; by default --latency")
    parser.add_argument("--source-devices", nargs="+", help="which are known; by default all but simulators")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--candidates", type=int, default=1000, help="drawn for each seed, to choose from")
    given = parser.parse_args()
    measured = dict(np.load(given.latency))
    sources = dict(np.load(given.sources)) if given.sources else measured
    if not given.sources and len(sources) == 1:
        sources = dict(np.load(DATA / "latency_ms.npz"))
    names, encoding = encoded(given.architectures.read_text().split())
    print(f"{given.samples} measurements chosen of {given.candidates} candidates, {given.seeds} seeds")
    print(f"{'':18}{'Spearman':>9}{'lowest':>9}{'Kendall':>9}{'MAPE %':>9}{'±10 %':>9}{'RMSE ms':>9}{'cover %':>9}")
    report: dict[str, dict[str, float]] = {}
    for target in given.target or list(measured):
        if target not in measured:
            parser.error(f"no device {target} in {given.latency}; there are {', '.join(measured)}")
        known = [
            name
            for name in given.source_devices or sources
            if name != target and (given.source_devices or name not in SIMULATORS)
        ]
        columns = [encoding, *(np.asarray(sources[name], float)[:, None] for name in known)]
        candidates = Features.of([*names, *(SOURCE + name for name in known)], np.hstack(columns))
        latencies_ms = np.asarray(measured[target], float)
        of, by_seed = study(latencies_ms, candidates, given.samples, given.seeds, given.candidates)
        report[target] = of | {"lowest_spearman": min(by_seed), "sources": len(known)}
        print(
            f"{target:18}{of['spearman']:9.4f}{min(by_seed):9.4f}{of['kendall']:9.4f}{of['mape_percent']:9.2f}"
            f"{of['within_10_percent']:9.1f}{of['rmse_ms']:9.2f}{of['coverage_percent']:9.1f}",
            flush=True,
        )
    keys = ("spearman", "kendall", "mape_percent", "within_10_percent", "coverage_percent")
    summary = {key: round(float(np.mean([of[key] for of in report.values()])), 4) for key in keys}
    print(json.dumps({"samples": given.samples, "seeds": given.seeds, **summary, **report}))


if __name__ == "__main__":
    main()
