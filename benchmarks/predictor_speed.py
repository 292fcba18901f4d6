"""How fast the predictor is: fitting at 200 and 2,000 rows, predictions per second from features.

    python benchmarks/predictor_speed.py [--columns 10] [--kernels 40] [--repeats 3]

Networks are drawn at random: so many columns, and as many kernels each where kernels are learned from. Times are the
best of several. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

from hwloop.predictor.ensemble import Ensemble
from hwloop.predictor.features import Features, Floats, KernelTable

ROWS = (200, 2000)
ASKED = 10_000
KINDS = ("conv", "depthwise", "matmul", "softmax", "norm", "copy")


def networks(rows: int, columns: int, kernels: int) -> tuple[Features, Floats]:
    """Return random features and latencies in ms; without kernels where their number is 0."""
    chance = np.random.default_rng(0)
    values = chance.uniform(1, 4, (rows, columns))
    latencies_ms = 3 + values.sum(axis=1) + values[:, 0] * values[:, 1]
    table = None
    if kernels:
        row = np.repeat(np.arange(rows), kernels)
        kind = chance.integers(0, len(KINDS), rows * kernels)
        amounts = np.exp(chance.uniform(8, 16, (rows * kernels, 2)))
        table = KernelTable(rows, KINDS, ("operations", "bytes"), row, kind, amounts)
        latencies_ms = 0.2 + np.bincount(row, np.maximum(amounts[:, 0] / 4e6, amounts[:, 1] / 1e6) + 0.01)
    noisy = latencies_ms * np.exp(0.02 * chance.standard_normal(rows))
    return Features(tuple(f"c{index}" for index in range(columns)), values, table), noisy


def best_s(work: Callable[[], object], repeats: int) -> float:
    """Return the shortest time of some repeats, in seconds."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--kernels", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(f"{'learned from':34}{'fit s':>9}{'predictions a second':>23}  estimators")
    report = {}
    for name, kernels in (("columns", 0), ("columns and kernels", given.kernels)):
        for rows in ROWS:
            features, latencies_ms = networks(rows, given.columns, kernels)
            asked, _ = networks(ASKED, given.columns, kernels)
            model = Ensemble()
            fit_s = best_s(lambda m=model, f=features, y=latencies_ms: m.fit(f, y), given.repeats)
            per_s = ASKED / best_s(lambda m=model, f=asked: m.predict(f), given.repeats)
            print(f"{rows:5} rows of {name:21}{fit_s:9.2f}{per_s:23,.0f}  {', '.join(model.weights)}", flush=True)
            report[f"{name}, {rows} rows"] = {"fit_s": round(fit_s, 3), "predictions_per_s": round(per_s)}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
