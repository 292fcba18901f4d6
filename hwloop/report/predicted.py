"""Predictors against what was measured: of models that they have not learned from, where there are some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwloop.errors import UsageError
from hwloop.learning.evaluating import Evaluation, on_unseen
from hwloop.learning.rows import find_rows
from hwloop.learning.saved import Predictor
from hwloop.report.measurements import short
from hwloop.store import Store


def predicted_data(store: Store, paths: Sequence[Path]) -> list[dict[str, object]]:
    """Return each saved predictor with its errors.

    Raises:
        UsageError: a file is no saved predictor.
    """
    return [_one(store, path) for path in paths]


def _one(store: Store, path: Path) -> dict[str, object]:
    predictor = Predictor.load(path)
    card = predictor.card
    scope = card.scope
    shown: dict[str, object] = {
        "file": path.name,
        "title": f"{scope.device} with {scope.runtime} {scope.runtime_version}",
        "unit": scope.unit,
        "space": card.space,
        "rows": card.rows,
        "errors": dict(card.errors) if card.errors else None,
        "points": [],
        "says": "",
    }
    rows = find_rows(store, scope.device, scope.runtime, threads=scope.threads, batch=scope.batch)
    if rows is None:
        return shown | {"says": "The store has no valid measurement of this device and runtime."}
    try:
        found = on_unseen(predictor, rows.of_space(card.space) if card.space else rows)
    except UsageError as error:  # it learned from everything that there is: worth a sentence, not the end
        return shown | {"says": f"There is nothing to compare with: {error}."}
    return shown | {"figures": found.figures, "points": _points(found)}


def _points(found: Evaluation) -> list[list[object]]:
    told = found.predicted
    columns = (found.measured, told.mean_ms, told.low_ms, told.high_ms)
    values = zip(*(column.tolist() for column in columns), strict=True)
    return [[name, *map(short, row)] for name, row in zip(found.names, values, strict=True)]
