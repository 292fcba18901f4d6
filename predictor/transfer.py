"""Few-shot transfer: a new device's latencies from other devices' and 5 to 20 measurements of its own.

Features are an encoding of the networks, and their latencies on known devices (measured, or predicted by those devices'
models) in columns named `ms on <device>`. `learn` looks at candidates' features; `choose` says which of them to
measure; `fit` takes what was measured. How far a new device may stand from the known ones, and how wide intervals must
be, is learned from the known devices, each in turn taken as new: empirical Bayes. (H. Lee et al., HELP, 2021, learn to
learn from the same data by gradient descent.) Where few devices or candidates are known, devices stand as far apart as
usual, and the interval is conformal: how far each measurement lies from what the others predict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm

from hwloop.errors import UsageError
from hwloop.predictor.base import Prediction
from hwloop.predictor.checks import check_columns, check_fit
from hwloop.predictor.choosing import most_informative
from hwloop.predictor.conformal import conformal_quantile
from hwloop.predictor.device_prior import OFFSET_VARIANCE, Deviations, DevicePrior, Standing
from hwloop.predictor.features import Features, Floats
from hwloop.predictor.novelty import WIDER_OUTSIDE, WIDEST, Range
from hwloop.predictor.saving import part_of, read, write
from hwloop.predictor.source_basis import SourceBasis

KIND = "transfer"
SOURCE = "ms on "  # what the column of a known device's latencies begins with
LEAST_MEASURED = 3
LEAST_SOURCES_TO_TUNE = 4
MOST_ROWS_TO_LEARN = 4000
ROWS_OF_A_TRIAL = 10  # measured, when a known device is taken as new
TRIALS = 3  # for each known device
ROWS_TO_CALIBRATE = 100  # for each trial
MOST_STEPS = 50
USUAL_NOISE = 0.04  # of logarithms, when rows are chosen
OUTLIER = 5.0  # deviations from what the other measurements predict
MOST_OUTLIERS = 0.2  # of the measurements


class Transfer:
    """A latency model of a new device, from known devices and few measurements."""

    def __init__(self, *, confidence: float = 0.9, seed: int = 0) -> None:
        if not 0 < confidence < 1:
            raise UsageError(f"confidence {confidence} is not between 0 and 1")
        self._confidence, self._seed = confidence, seed
        self._basis: SourceBasis | None = None
        self._standing: Standing | None = None

    def learn(self, candidates: Features) -> None:
        """Learn the known devices from candidates' features; measurements come later, with `fit`."""
        self._columns = candidates.columns
        chance = np.random.default_rng(self._seed)
        rows = chance.permutation(len(candidates))[:MOST_ROWS_TO_LEARN]
        logs, encoding = self._split(candidates.take(rows))
        if len(rows) < LEAST_MEASURED:
            raise UsageError(f"{len(rows)} candidates are too few to learn devices from", remedy="Give more.")
        self._basis, self._range = SourceBasis.of(logs, encoding), Range.of(candidates)
        self._calibrates = logs.shape[1] < LEAST_SOURCES_TO_TUNE or len(logs) < 2 * ROWS_OF_A_TRIAL
        deviations, self._reach = Deviations(), np.inf
        if not self._calibrates:
            deviations, self._reach = _learned(logs, encoding, self._confidence, chance)
        self._prior = DevicePrior(self._basis.scores, deviations.variances(self._basis.groups))

    def choose(self, candidates: Features, count: int) -> NDArray[np.intp]:
        """Return which candidates to measure, the most informative first."""
        features = self.informative(candidates)
        return most_informative(features, np.ones(features.shape[1]), count, noise=1.0)

    def informative(self, candidates: Features) -> Floats:
        """Return what `most_informative` looks at (rows, features), for coefficients and noise of variance 1."""
        basis = self._learned_basis()
        variances = self._prior.variances.copy()
        variances[0] = OFFSET_VARIANCE
        return np.asarray(basis(*self._split(candidates)) * np.sqrt(variances) / USUAL_NOISE)

    def fit(self, features: Features, latencies_ms: Floats) -> None:
        """Learn from measurements on the new device; see `LatencyModel`. Without `learn`, these are the candidates."""
        latencies_ms = np.asarray(latencies_ms, float)
        check_fit(features, latencies_ms, LEAST_MEASURED)
        if self._basis is None:
            self.learn(features)
        rows = self._learned_basis()(*self._split(features))
        logs = np.log(latencies_ms)
        self.kept: NDArray[np.bool_] = _without_outliers(self._prior, rows, logs)
        rows, logs = rows[self.kept], logs[self.kept]
        if self._calibrates:
            self._reach = _reach(self._prior.left_out(rows, logs), self._confidence)
        self._standing = self._prior.standing(rows, logs)

    def predict(self, features: Features) -> Prediction:
        """Return latencies with intervals; see `LatencyModel`."""
        if self._standing is None:
            raise UsageError("no measurement of the new device yet", remedy="Fit the model to some first.")
        rows = self._learned_basis()(*self._split(features))
        mean, deviation = self._standing.predict(rows)
        excess, warnings = self._range.excess(features)
        half = np.minimum(self._reach * deviation * (1 + WIDER_OUTSIDE * excess), WIDEST)
        return Prediction(np.exp(mean), np.exp(mean - half), np.exp(mean + half), excess > 0, warnings)

    def save(self, path: Path) -> None:
        """Write the model, fitted or only learned; see `LatencyModel`."""
        state: dict[str, NDArray[np.generic]] = {
            "columns": np.array(self._columns, str),
            "interval": np.array([self._confidence, self._reach, self._calibrates]),
            "range": np.stack([self._range.low, self._range.high]),
            "variances": self._prior.variances,
        }
        parts = {"basis": self._learned_basis().state()}
        if self._standing is not None:
            parts["standing"] = self._standing.state()
        write(path, KIND, state | {f"{part}/{name}": value for part in parts for name, value in parts[part].items()})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return a saved model; raises UsageError where the file is none, or of an unknown schema."""
        state = read(path, KIND)
        confidence, reach, calibrates = (float(number) for number in state["interval"].astype(float))
        new = cls(confidence=confidence)
        new._columns = tuple(str(name) for name in state["columns"])
        new._reach, new._calibrates = reach, bool(calibrates)
        low, high = state["range"].astype(float)
        new._range = Range(low, high, ())
        new._basis = SourceBasis.restore(part_of(state, "basis"))
        new._prior = DevicePrior(new._basis.scores, state["variances"].astype(float))
        if standing := part_of(state, "standing"):
            new._standing = Standing(**{name: value.astype(float) for name, value in standing.items()})
        return new

    def _learned_basis(self) -> SourceBasis:
        if self._basis is None:
            raise UsageError("no known device has been learned yet", remedy="Call learn with candidates first.")
        return self._basis

    def _split(self, features: Features) -> tuple[Floats, Floats]:
        """Return logarithms of the known devices' latencies, and the encoding."""
        check_columns(self._columns, features)
        known = np.array([name.startswith(SOURCE) for name in features.columns], bool)
        if not known.any():
            raise UsageError(
                f"no column of features begins with '{SOURCE}'", remedy="Give latencies on at least one known device."
            )
        return np.log(np.maximum(features.values[:, known], 1e-9)), features.values[:, ~known]


def _learned(
    logs: Floats, encoding: Floats, confidence: float, chance: np.random.Generator
) -> tuple[Deviations, float]:
    """Return how far devices stand apart, and how many deviations an interval needs, from known devices' trials."""
    trials = []
    for device in range(logs.shape[1]):
        others = np.delete(logs, device, axis=1)
        basis = SourceBasis.of(others, encoding)
        for _ in range(TRIALS):
            drawn = chance.permutation(len(logs))[: ROWS_OF_A_TRIAL + ROWS_TO_CALIBRATE]
            trials.append((basis, basis(others[drawn], encoding[drawn]), logs[drawn, device]))

    def prior(point: Floats, basis: SourceBasis) -> DevicePrior:
        return DevicePrior(basis.scores, Deviations(*np.exp(point)).variances(basis.groups))

    def improbability(point: Floats) -> float:
        few = slice(0, ROWS_OF_A_TRIAL)
        return -sum(prior(point, basis).total_log_evidence(rows[few], own[few]) for basis, rows, own in trials)

    usual = Deviations()
    start = np.log([usual.mean, usual.components, usual.encoding])
    found = minimize(improbability, start, method="Nelder-Mead", options={"maxfev": MOST_STEPS}).x
    scores = []
    for basis, rows, own in trials:
        known = prior(found, basis)
        few = _without_outliers(known, rows[:ROWS_OF_A_TRIAL], own[:ROWS_OF_A_TRIAL])
        standing = known.standing(rows[:ROWS_OF_A_TRIAL][few], own[:ROWS_OF_A_TRIAL][few])
        mean, deviation = standing.predict(rows[ROWS_OF_A_TRIAL:])
        scores.append(np.abs(own[ROWS_OF_A_TRIAL:] - mean) / deviation)
    return Deviations(*(float(each) for each in np.exp(found))), float(np.quantile(np.concatenate(scores), confidence))


def _reach(distances: Floats, confidence: float) -> float:
    """Return how many deviations an interval needs where measurements lie so far from what the others predict.

    The largest of a handful is a small one by chance, so it is never less than normal residuals need.
    """
    return max(conformal_quantile(distances, confidence), float(norm.ppf((1 + confidence) / 2)))


def _without_outliers(prior: DevicePrior, rows: Floats, logs: Floats) -> NDArray[np.bool_]:
    """Return which measurements to believe: the worst is dropped while the others hold it to be impossible."""
    kept = np.ones(len(logs), bool)
    while (~kept).sum() + 1 <= MOST_OUTLIERS * len(logs):
        distance = prior.left_out(rows[kept], logs[kept])
        if distance.max() <= OUTLIER:
            break
        kept[np.flatnonzero(kept)[np.argmax(distance)]] = False
    return kept
