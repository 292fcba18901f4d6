"""The two seams of the predictor.

An `Estimator` is one method of learning a latency from features; to add one, write a file like polynomial.py and name
it in estimators.py. A `LatencyModel` is what the rest of hwloop uses: it adds intervals, robustness, and saving.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from hwloop.predictor.features import Features, Floats

State = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted latencies with intervals, one a row, in ms.

    `novel` marks rows unlike any that the model has learned from; their intervals are wide, and `warnings` says why.
    """

    mean_ms: Floats
    low_ms: Floats
    high_ms: Floats
    novel: NDArray[np.bool_]
    warnings: tuple[str, ...] = ()


class LatencyModel(Protocol):
    """Predicts latency with an interval."""

    def fit(self, features: Features, latencies_ms: Floats) -> None:
        """Learn from measured rows; raises UsageError for data that cannot be learned from."""

    def predict(self, features: Features) -> Prediction:
        """Return the latencies of rows with the same columns; raises UsageError for other columns."""

    def save(self, path: Path) -> None:
        """Write the fitted model as an NPZ file with a schema version."""


class Estimator(Protocol):
    """Learns a latency, by one method. It may rely on checked, trimmed data of ten rows or more."""

    name: ClassVar[str]

    def fit(self, features: Features, latencies_ms: Floats) -> None:
        """Learn, minimising relative error."""

    def predict_ms(self, features: Features) -> Floats:
        """Return positive latencies in ms, one a row."""

    def state(self) -> State:
        """Return what was learned as arrays, none of them of Python objects."""

    @classmethod
    def restore(cls, state: State) -> Self:
        """Return the estimator whose `state` that was."""
