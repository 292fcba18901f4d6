"""The default latency model: several estimators, weighted by cross-validation, with calibrated intervals.

1. Rows from slow stretches are left out (trimming.py).
2. Every estimator predicts each row from folds without it; weights that minimise the held-out error are found
   (stacking.py). Then the better residuals decide anew which rows to leave out, and all learn from the rest.
3. Predictions are shifted by the factor that makes the held-out relative error least.
4. The interval is conformal (V. Vovk, Cross-conformal predictors, 2015; J. Lei et al., Distribution-free predictive
   inference for regression, 2018): a quantile of the held-out residuals of the logarithm, each divided by how
   much the estimators disagree on its row, plus the usual residual.
5. Where a row lies outside what was measured, the interval is wider in proportion, and the prediction says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import UsageError
from hwloop.predictor.base import Estimator, Prediction, State
from hwloop.predictor.checks import check_columns, check_fit
from hwloop.predictor.conformal import conformal_quantile
from hwloop.predictor.estimators import ESTIMATORS, suitable
from hwloop.predictor.features import Features, Floats
from hwloop.predictor.novelty import WIDER_OUTSIDE, WIDEST, Range
from hwloop.predictor.saving import part_of, read, write
from hwloop.predictor.stacking import folds_of, stacked_weights
from hwloop.predictor.trimming import trimmed, within

KIND = "ensemble"
FOLDS = 5
FOLDS_WHEN_SCARCE = 10  # below SCARCE rows
SCARCE = 60
DEVIATIONS = 3.5  # rows with larger held-out residuals are not learned from in the end
DEVIATIONS_TO_CALIBRATE = 6.0  # rows up to here are part of normal life, and the interval must know them


class Ensemble:
    """Estimators weighted by cross-validation, trimmed, with conformal intervals.

    `estimators` are names of `ESTIMATORS`; by default all that suit the features. `confidence` is the share of
    latencies that the interval is to hold. `kept` (rows,) says after `fit` which rows were learned from.
    """

    def __init__(self, estimators: Sequence[str] = (), *, confidence: float = 0.9, seed: int = 0) -> None:
        unknown = set(estimators) - set(ESTIMATORS)
        if unknown:
            raise UsageError(f"no estimator {', '.join(sorted(unknown))}", remedy=f"There are {', '.join(ESTIMATORS)}.")
        if not 0 < confidence < 1:
            raise UsageError(f"confidence {confidence} is not between 0 and 1")
        self._asked, self._confidence, self._seed = tuple(estimators), confidence, seed
        self._members: list[Estimator] = []

    def fit(self, features: Features, latencies_ms: Floats) -> None:
        """Learn from measured rows; see `LatencyModel`."""
        latencies_ms = np.asarray(latencies_ms, float)
        check_fit(features, latencies_ms)
        names = self._asked or suitable(features.with_totals(()))
        if not names:
            raise UsageError("the features have neither columns nor kernels", remedy="Give one of them.")
        self._columns = features.columns
        self._kinds = features.kernels.kinds if features.kernels else ()
        rows = features.with_totals(self._kinds)
        self.kept: NDArray[np.bool_] = trimmed(rows, latencies_ms)
        log_ms = np.log(latencies_ms)
        held_out = self._held_out(names, rows, latencies_ms)
        weights = stacked_weights(held_out[self.kept], log_ms[self.kept])
        residuals = log_ms - held_out @ weights
        usual = within(residuals, self.kept, DEVIATIONS_TO_CALIBRATE)
        self.kept = within(residuals, self.kept, DEVIATIONS)
        residuals = residuals[usual]
        self._centre = _least_relative_error(residuals)
        residuals -= self._centre
        self._usual = max(float(np.median(np.abs(residuals))), 1e-6)
        spread = _disagreement(held_out[usual], weights) + self._usual
        self._reach = conformal_quantile(np.abs(residuals) / spread, self._confidence)
        learned = rows.take(self.kept)
        self._range = Range.of(learned)
        chosen = [(name, weight) for name, weight in zip(names, weights, strict=True) if weight > 0]
        self._members = [_fitted(name, learned, latencies_ms[self.kept]) for name, _ in chosen]
        self._weights = np.array([weight for _, weight in chosen])

    def _held_out(self, names: Sequence[str], rows: Features, latencies_ms: Floats) -> Floats:
        """Return predictions of logarithms (rows, estimators), each from kept rows of the other folds."""
        count = len(latencies_ms)
        fold_of = folds_of(count, FOLDS_WHEN_SCARCE if count < SCARCE else FOLDS, self._seed)
        predicted = np.empty((count, len(names)))
        for fold in range(fold_of.max() + 1):
            learned, asked = self.kept & (fold_of != fold), fold_of == fold
            for index, name in enumerate(names):
                estimator = _fitted(name, rows.take(learned), latencies_ms[learned])
                predicted[asked, index] = np.log(estimator.predict_ms(rows.take(asked)))
        return predicted

    @property
    def weights(self) -> dict[str, float]:
        """How much each estimator counts; those that do not count are left out."""
        return {member.name: float(weight) for member, weight in zip(self._members, self._weights, strict=True)}

    def predict(self, features: Features) -> Prediction:
        """Return latencies with intervals; see `LatencyModel`."""
        if not self._members:
            raise UsageError("this model has not learned anything yet", remedy="Fit it first, or load a fitted one.")
        check_columns(self._columns, features)
        if bool(self._kinds) != (features.kernels is not None):
            raise UsageError("the model learned with kernels and is asked without, or the reverse")
        rows = features.with_totals(self._kinds)
        logs = np.column_stack([np.log(member.predict_ms(rows)) for member in self._members])
        mean = logs @ self._weights + self._centre
        excess, warnings = self._range.excess(rows, features.kernels)
        half = self._reach * (_disagreement(logs, self._weights) + self._usual) * (1 + WIDER_OUTSIDE * excess)
        half = np.minimum(half, WIDEST)
        return Prediction(np.exp(mean), np.exp(mean - half), np.exp(mean + half), excess > 0, warnings)

    def save(self, path: Path) -> None:
        """Write the fitted model; see `LatencyModel`."""
        state: dict[str, NDArray[np.generic]] = {
            "columns": np.array(self._columns, str),
            "kinds": np.array(self._kinds, str),
            "members": np.array([member.name for member in self._members], str),
            "weights": self._weights,
            "range": np.stack([self._range.low, self._range.high]),
            "interval": np.array([self._confidence, self._centre, self._usual, self._reach]),
        }
        for index, member in enumerate(self._members):
            state |= {f"{index}/{name}": value for name, value in member.state().items()}
        write(path, KIND, state)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return a saved model; raises UsageError where the file is none, or of an unknown schema."""
        state: State = read(path, KIND)
        confidence, centre, usual, reach = (float(number) for number in state["interval"].astype(float))
        new = cls(confidence=confidence)
        new._columns = tuple(str(name) for name in state["columns"])
        new._kinds = tuple(str(name) for name in state["kinds"])
        new._centre, new._usual, new._reach = centre, usual, reach
        low, high = state["range"].astype(float)
        new._range = Range(low, high, new._kinds)
        new._weights = state["weights"].astype(float)
        new._members = [
            ESTIMATORS[str(name)].restore(part_of(state, str(index))) for index, name in enumerate(state["members"])
        ]
        return new


def _fitted(name: str, rows: Features, latencies_ms: Floats) -> Estimator:
    estimator = ESTIMATORS[name]()
    estimator.fit(rows, latencies_ms)
    return estimator


def _disagreement(logs: Floats, weights: Floats) -> Floats:
    """Return the weighted deviation of estimators' logarithms (rows, estimators) around their mean (rows,)."""
    spread: Floats = np.sqrt(np.maximum((logs - (logs @ weights)[:, None]) ** 2 @ weights, 0))
    return spread


def _least_relative_error(residuals: Floats) -> float:
    """Return the shift of logarithms for which the mean of |predicted / measured - 1| is least.

    Latencies have long tails upward. A prediction c times too high errs by c / measured a row, so the best one is the
    median of the rows, each weighted by one over its measured latency.
    """
    order = np.argsort(residuals)
    weight = np.cumsum(np.exp(-residuals[order]))
    return float(residuals[order][np.searchsorted(weight, weight[-1] / 2)])
