"""From rows to a predictor, and how wrong it is on rows that it has not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hwloop import __version__
from hwloop.errors import UsageError
from hwloop.learning.networks import measured_networks
from hwloop.learning.recipe import FeatureKind, Recipe
from hwloop.learning.rows import Rows
from hwloop.learning.saved import Card, Predictor
from hwloop.predictor.base import Prediction
from hwloop.predictor.checks import LEAST_ROWS
from hwloop.predictor.ensemble import Ensemble
from hwloop.predictor.features import Features, Floats
from hwloop.predictor.metrics import accuracy, coverage
from hwloop.store.ids import created_at

FOLDS = 5


@dataclass(frozen=True)
class Fitting:
    """What a predictor is to look at, and the seed of its folds."""

    kind: FeatureKind = FeatureKind.KERNELS
    seed: int = 0

    def fit(self, rows: Rows, *, validate: bool = True) -> Predictor:
        """Return a predictor learned from all rows; `validate` finds its cross-validated errors, too.

        Raises:
            UsageError: nothing can be learned from these rows.
        """
        refuse_too_few(rows)
        networks = measured_networks(rows.rows)
        recipe = Recipe.of(self.kind, networks)
        features = recipe.features(networks)
        model = Ensemble(seed=self.seed)
        model.fit(features, rows.values)
        spaces = {network.candidate.space if network.candidate else None for network in networks}
        card = Card(
            scope=rows.scope,
            space=spaces.pop() if len(spaces) == 1 else None,
            rows=len(rows),
            seed=self.seed,
            newest=created_at(max(row.measurement_id for row in rows.rows)),
            learned=frozenset(row.facts.digest for row in rows.rows),
            estimators=model.weights,
            errors=cross_validated(features, rows.values, rows.scope.unit, self.seed) if validate else None,
            hwloop=__version__,
        )
        return Predictor(card, recipe, model)


def refuse_too_few(rows: Rows) -> None:
    """Raise UsageError unless there are enough rows to learn from."""
    if len(rows) < LEAST_ROWS:
        scope = rows.scope
        missing = LEAST_ROWS - len(rows)
        raise UsageError(
            f"{len(rows)} measured models of {scope.device} with {scope.runtime} are too few to learn from;"
            f" {LEAST_ROWS} are needed",
            remedy=f"Measure {missing} more: hwloop measure --space SPACE --sample {missing + 5} -d {scope.device}"
            f" -r {scope.runtime}, or let `hwloop predictor fit` choose them with --space SPACE --budget 50.",
        )


def cross_validated(features: Features, values: Floats, unit: str, seed: int) -> dict[str, float] | None:
    """Return the figures of predictions from folds without the row; None where folds would be too few to learn from."""
    count = len(features)
    if count <= LEAST_ROWS:
        return None
    folds = max(FOLDS, math.ceil(count / (count - LEAST_ROWS)))
    fold_of = np.random.default_rng(seed).permutation(count) % folds
    mean, low, high = np.empty(count), np.empty(count), np.empty(count)
    for fold in range(folds):
        asked = fold_of == fold
        found = learned(features.take(~asked), values[~asked], seed).predict(features.take(asked))
        mean[asked], low[asked], high[asked] = found.mean_ms, found.low_ms, found.high_ms
    return figures(values, Prediction(mean, low, high, np.zeros(count, bool)), unit)


def learned(features: Features, values: Floats, seed: int) -> Ensemble:
    """Return a model of these rows."""
    model = Ensemble(seed=seed)
    model.fit(features, values)
    return model


def figures(measured: Floats, predicted: Prediction, unit: str) -> dict[str, float]:
    """Return how good predictions are, by plain names; `unit` is that of the root mean square error."""
    found = accuracy(measured, predicted.mean_ms).rounded()
    found[f"rmse_{unit}"] = found.pop("rmse_ms")
    held = coverage(measured, predicted.mean_ms, predicted.low_ms, predicted.high_ms)
    found["coverage_percent"] = round(held.coverage_percent, 4)
    found["mean_width_percent"] = round(held.mean_width_percent, 4)
    return found
