"""From rows to a predictor, and how wrong it is on rows that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hwloop import __version__
from hwloop.errors import UsageError
from hwloop.learning.networks import measured_networks
from hwloop.learning.recipe import FeatureKind, Recipe
from hwloop.learning.rows import Rows
from hwloop.learning.saved import Card, Predictor
from hwloop.predictor.base import LatencyModel, Prediction
from hwloop.predictor.checks import LEAST_ROWS
from hwloop.predictor.ensemble import Ensemble
from hwloop.predictor.features import Features, Floats
from hwloop.predictor.metrics import accuracy, coverage
from hwloop.store.ids import created_at

if TYPE_CHECKING:
    from hwloop.learning.pool import Pool

FOLDS = 5


@dataclass(frozen=True)
class Fitting:
    """What a predictor is to look at, and the seed of its folds."""

    kind: FeatureKind = FeatureKind.KERNELS
    seed: int = 0

    least_rows: ClassVar[int] = LEAST_ROWS

    def fit(self, rows: Rows, *, validate: bool = True) -> Predictor:
        """Return a predictor learned from all rows; `validate` finds its cross-validated errors, too.

        Raises:
            UsageError: nothing can be learned from these rows.
        """
        refuse_too_few(rows, self.least_rows)
        networks = measured_networks(rows.rows)
        recipe = Recipe.of(self.kind, networks)
        features = recipe.features(networks)

        def learn(some: Features, values: Floats) -> Ensemble:
            model = Ensemble(seed=self.seed)
            model.fit(some, values)
            return model

        values, unit = rows.values, rows.scope.unit
        errors = cross_validated(features, values, unit, self.seed, learn, self.least_rows) if validate else None
        model = learn(features, values)
        return Predictor(card_of(rows, self.seed, model.weights, errors), recipe, model)

    def over(self, pool: Pool) -> tuple[Fitting, Pool]:
        """Return this and the pool, each having learned what it can from the other before anything is measured."""
        return self, pool


def card_of(rows: Rows, seed: int, estimators: Mapping[str, float], errors: Mapping[str, float] | None) -> Card:
    """Return the card of a predictor that has learned from these rows."""
    spaces = {row.facts.candidate.space if row.facts.candidate else None for row in rows.rows}
    return Card(
        scope=rows.scope,
        space=spaces.pop() if len(spaces) == 1 else None,
        rows=len(rows),
        seed=seed,
        newest=created_at(max(row.measurement_id for row in rows.rows)),
        learned=frozenset(row.facts.digest for row in rows.rows),
        estimators=estimators,
        errors=errors,
        hwloop=__version__,
    )


def refuse_too_few(rows: Rows, least: int) -> None:
    """Raise UsageError unless there are at least so many rows to learn from."""
    if len(rows) < least:
        scope = rows.scope
        missing = least - len(rows)
        raise UsageError(
            f"{len(rows)} measured models of {scope.device} with {scope.runtime} are too few to learn from;"
            f" {least} are needed",
            remedy=f"Measure {missing} more: hwloop measure --space SPACE --sample {missing + 5} -d {scope.device}"
            f" -r {scope.runtime}, or let `hwloop predictor fit` choose them with --space SPACE --budget 50;"
            " with predictors of other devices (--from) 5 to 20 do.",
        )


def cross_validated(
    features: Features,
    values: Floats,
    unit: str,
    seed: int,
    learn: Callable[[Features, Floats], LatencyModel],
    least: int,
) -> dict[str, float] | None:
    """Return the figures of predictions from folds without the row; None where folds have too few to learn from.

    `learn` makes a model of some rows, `least` or more.
    """
    count = len(features)
    if count <= least:
        return None
    folds = max(FOLDS, math.ceil(count / (count - least)))
    fold_of = np.random.default_rng(seed).permutation(count) % folds
    mean, low, high = np.empty(count), np.empty(count), np.empty(count)
    for fold in range(folds):
        asked = fold_of == fold
        found = learn(features.take(~asked), values[~asked]).predict(features.take(asked))
        mean[asked], low[asked], high[asked] = found.mean_ms, found.low_ms, found.high_ms
    return figures(values, Prediction(mean, low, high, np.zeros(count, bool)), unit)


def figures(measured: Floats, predicted: Prediction, unit: str) -> dict[str, float]:
    """Return how good predictions are, by plain names; `unit` is that of the root mean square error."""
    found = accuracy(measured, predicted.mean_ms).rounded()
    found[f"rmse_{unit}"] = found.pop("rmse_ms")
    held = coverage(measured, predicted.mean_ms, predicted.low_ms, predicted.high_ms)
    found["coverage_percent"] = round(held.coverage_percent, 4)
    found["mean_width_percent"] = round(held.mean_width_percent, 4)
    return found
