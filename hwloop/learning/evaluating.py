"""Predictions against measurements: of rows that a predictor has not seen, or of rows held out while it is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwloop.errors import UsageError
from hwloop.learning.fitting import Fitting, figures
from hwloop.learning.networks import measured_networks
from hwloop.learning.rows import Rows
from hwloop.learning.saved import Predictor
from hwloop.predictor.base import Prediction
from hwloop.predictor.features import Floats

LEAST_TESTED = 2


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions beside measurements, one a row of each seed's test; `figures` are means over the seeds.

    `split` says in words which rows were tested.
    """

    split: str
    trained: int
    tested: int
    seeds: int
    unit: str
    figures: dict[str, float]
    names: tuple[str, ...]
    measured: Floats
    predicted: Prediction

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        columns = (self.names, self.measured, self.predicted.mean_ms, self.predicted.low_ms, self.predicted.high_ms)
        points = [
            {"model": name, "measured": value, "predicted": mean, "low": low, "high": high}
            for name, value, mean, low, high in zip(columns[0], *(each.tolist() for each in columns[1:]), strict=True)
        ]
        counts = {"split": self.split, "trained": self.trained, "tested": self.tested, "seeds": self.seeds}
        return {**counts, "unit": self.unit, **self.figures, "points": points}


def on_unseen(predictor: Predictor, rows: Rows) -> Evaluation:
    """Evaluate a predictor on the rows whose models it has not learned from.

    Raises:
        UsageError: there are too few.
    """
    unseen = rows.without(predictor.card.learned)
    if len(unseen) < LEAST_TESTED:
        raise UsageError(
            f"of the {len(rows)} measured models, the predictor has learned from all but {len(unseen)}",
            remedy="Measure others, or hold some out while it is fitted again: --holdout 0.3.",
        )
    found = predictor.predict(measured_networks(unseen.rows))
    unit = rows.scope.unit
    names = tuple(row.facts.name for row in unseen.rows)
    split = "measured models that it has not learned from"
    scores = figures(unseen.values, found, unit)
    return Evaluation(split, predictor.card.rows, len(unseen), 1, unit, scores, names, unseen.values, found)


def on_holdout(
    fitting: Fitting, rows: Rows, share: float, seeds: int, done: Callable[[int], None] = lambda _count: None
) -> Evaluation:
    """Fit anew without a random share of the rows and evaluate on these, once for each seed; `done` hears of each.

    Raises:
        UsageError: too few rows are left to learn from, or to test on.
    """
    tested = round(len(rows) * share)
    if tested < LEAST_TESTED or len(rows) - tested < fitting.least_rows:
        raise UsageError(
            f"--holdout {share:g} of {len(rows)} measured models is {tested} to test on and {len(rows) - tested} to"
            f" learn from; at least {LEAST_TESTED} and {fitting.least_rows} are needed",
            remedy="Measure more, or hold out another share.",
        )
    parts = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(rows))
        test, train = (_subset(rows, sorted(part)) for part in (order[:tested], order[tested:]))
        predictor = replace(fitting, seed=seed).fit(train, validate=False)
        parts.append((test, predictor.predict(measured_networks(test.rows))))
        done(seed + 1)
    unit = rows.scope.unit
    scores = [figures(test.values, found, unit) for test, found in parts]
    mean = {name: round(float(np.mean([each[name] for each in scores])), 4) for name in scores[0]}
    mean["rows"] = tested
    found = [prediction for _, prediction in parts]
    together = Prediction(
        np.concatenate([each.mean_ms for each in found]),
        np.concatenate([each.low_ms for each in found]),
        np.concatenate([each.high_ms for each in found]),
        np.concatenate([each.novel for each in found]),
    )
    names = tuple(row.facts.name for test, _ in parts for row in test.rows)
    measured = np.concatenate([test.values for test, _ in parts])
    split = f"a random {share:.0%} of the rows, held out while it is fitted"
    return Evaluation(split, len(rows) - tested, tested, seeds, unit, mean, names, measured, together)


def _subset(rows: Rows, places: list[int]) -> Rows:
    return Rows(rows.scope, tuple(rows.rows[place] for place in places))
