"""How well a latency predictor learns from 200 raw rows: HAT's published measurements of encoder-decoder Transformers.

    python benchmarks/predictor_hat.py [--csv FILE ...] [--data FOLDER] [--train 200] [--seeds 10] [--mlp-train N]

Random rows of the file as published are learned from, the rest are predicted; the label is encoder plus decoder
latency, the features are all columns that are no latency. Next to it stands a perceptron like HAT's (three layers
of 400, features and label normalised, squared error, Adam; H. Wang et al., HAT, 2020) on the same rows, or on N.

Errors are reported over all rows that were not learned from, and over those outside shifted stretches, where the
device ran slower or faster for a while. The rule, the same for every file: a robust quadratic model is fitted to all
rows of a column (encoder, decoder); where the median of its logarithmic residuals over 21 rows in file order is
beyond 10 %, the row in the middle is in a shifted stretch; a row counts as shifted where either column is. The rule
sees stretches alone: a row that a model cannot explain, among rows that it can, stays in. `shifted_percent` says how
many are out. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import warnings
from pathlib import Path

import numpy as np
from scipy.ndimage import median_filter
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from hwloop.predictor.ensemble import Ensemble
from hwloop.predictor.features import Features, Floats
from hwloop.predictor.metrics import accuracy, coverage
from hwloop.predictor.polynomial import Quadratic
from hwloop.predictor.trimming import trimmed

DATA = Path(__file__).parents[1] / "../shared/data/hat"
LABELS = ("latency_mean_encoder", "latency_mean_decoder")
WINDOW_ROWS = 21
SHIFT = 0.10
LAYERS = (400, 400, 400)


def read(path: Path) -> tuple[Features, Floats]:
    """Return the features and both latency columns (rows, 2) of one of HAT's files."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if not name.startswith("latency_")]
    features = Features.of(names, [[float(row[name]) for name in names] for row in rows])
    return features, np.array([[float(row[name]) for name in LABELS] for row in rows])


def shifted(features: Features, parts_ms: Floats) -> np.ndarray:
    """Return which rows lie in shifted stretches, by the rule above."""
    found = np.zeros(len(features), bool)
    for column in parts_ms.T:
        kept = trimmed(features, column)
        model = Quadratic()
        model.fit(features.take(kept), column[kept])
        residuals = np.log(column / model.predict_ms(features))
        residuals -= np.median(residuals[kept])
        found |= np.abs(median_filter(residuals, WINDOW_ROWS, mode="nearest")) > SHIFT
    return found


def perceptron(features: Features, latencies_ms: Floats, learned: np.ndarray, seed: int) -> Floats:
    """Return what a perceptron like HAT's predicts for all rows."""
    mean, deviation = features.values[learned].mean(axis=0), features.values[learned].std(axis=0)
    normal = (features.values - mean) / np.where(deviation > 0, deviation, 1)
    unit = latencies_ms[learned].mean()
    model = MLPRegressor(
        hidden_layer_sizes=LAYERS,
        batch_size=min(128, len(learned)),
        learning_rate_init=1e-3,
        max_iter=300,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(normal[learned], latencies_ms[learned] / unit)
    return np.maximum(model.predict(normal), 1e-3) * unit


def study(path: Path, train: int, mlp_train: int, seeds: int) -> dict[str, object]:
    """Return the figures of one file, means over seeds."""
    features, parts_ms = read(path)
    latencies_ms = parts_ms.sum(axis=1)
    outside = ~shifted(features, parts_ms)
    found: dict[str, list[dict[str, float]]] = {"": [], "all_rows": [], "mlp": [], "mlp_all_rows": []}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(features))
        learned, asked = order[:train], order[train:]
        model = Ensemble(seed=seed)
        model.fit(features.take(learned), latencies_ms[learned])
        told = model.predict(features)
        guessed = perceptron(features, latencies_ms, order[:mlp_train], seed)
        for name, rows in (("", asked[outside[asked]]), ("all_rows", asked)):
            covered = coverage(latencies_ms[rows], told.mean_ms[rows], told.low_ms[rows], told.high_ms[rows])
            found[name].append(accuracy(latencies_ms[rows], told.mean_ms[rows]).rounded() | vars(covered))
            rows = np.setdiff1d(rows, order[:mlp_train])
            found[f"mlp_{name}".rstrip("_")].append(accuracy(latencies_ms[rows], guessed[rows]).rounded())
    means = {
        name: {key: round(float(np.mean([each[key] for each in runs])), 3) for key in runs[0]}
        for name, runs in found.items()
    }
    return {**means.pop(""), "shifted_percent": round(100 * float((~outside).mean()), 2), **means}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", type=Path, nargs="+", help="HAT's files; by default all in --data")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--train", type=int, default=200)
    parser.add_argument("--mlp-train", type=int, help="rows that the perceptron learns from; by default as many")
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    files = given.csv or sorted(given.data.glob("*.csv"))
    if not files:
        parser.error(f"no CSV file in {given.data}")
    mlp_train = given.mlp_train or given.train
    print(f"{given.train} rows learned from, {given.seeds} seeds; outside shifted stretches (all rows in brackets)")
    print(f"{'':36}{'MAPE %':>16}{'within 10 %':>18}{'coverage %':>12}{'shifted %':>11}{f'MLP({mlp_train}) %':>18}")
    report = {}
    for path in files:
        of = report[path.stem] = study(path, given.train, mlp_train, given.seeds)
        every, mlp, mlp_every = of["all_rows"], of["mlp"], of["mlp_all_rows"]
        print(
            f"{path.stem:36}{of['mape_percent']:8.2f} ({every['mape_percent']:5.2f})"
            f"{of['within_10_percent']:10.2f} ({every['within_10_percent']:5.1f}){of['coverage_percent']:12.1f}"
            f"{of['shifted_percent']:11.1f}{mlp['mape_percent']:10.2f} ({mlp_every['mape_percent']:5.2f})",
            flush=True,
        )
    summary = {"train": given.train, "seeds": given.seeds, "mlp_train": mlp_train}
    for key in ("mape_percent", "within_10_percent", "coverage_percent"):
        summary[key] = round(float(np.mean([of[key] for of in report.values()])), 3)
    print(json.dumps(summary | report))


if __name__ == "__main__":
    main()
