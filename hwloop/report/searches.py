"""Searches in the store as fronts: accuracy against latency, on each of their devices."""

from __future__ import annotations

from collections.abc import Collection

from hwloop.records.search import StoredSearch
from hwloop.report.fronts import Front, Point, candidate_words
from hwloop.report.objectives import Objective
from hwloop.search.goals import ACCURACY, LATENCY, SIZE
from hwloop.store import Store
from hwloop.store.ids import TIME_DIGITS
from hwloop.store.searches import Searches


def search_fronts(store: Store, devices: Collection[str], counting: Collection[str]) -> list[Front]:
    """Return a front for each search and device, the newest search first; without accuracies, sizes take their place.

    Of no `devices` named, all count. Those that are `counting` measure in instructions.
    """
    return [
        front
        for search in Searches(store).all()
        for front in _fronts(search, counting)
        if not devices or front.device in devices
    ]


def _fronts(search: StoredSearch, counting: Collection[str]) -> list[Front]:
    request = search.request
    tried = [trial for trial in search.trials if trial.values]
    keys = sorted({key for trial in tried for key in trial.values or {}})
    y = Objective(ACCURACY, "fraction", True) if ACCURACY in keys else Objective(SIZE, "bytes")
    fronts = []
    for key in (key for key in keys if key.partition("@")[0] == LATENCY):
        device = key.partition("@")[2] or str(request["devices"][0])
        points = [
            Point(trial.candidate.digest[:8], candidate_words(trial.candidate), trial.values[key], trial.values[y.key])
            for trial in tried
            if trial.values and key in trial.values and y.key in trial.values
        ]
        task = f" for {request['task']}" if request.get("task") else ""
        title = f"{request['space']}{task} with {request['runtime']}, search {search.id[:TIME_DIGITS]}"
        unit = "instructions" if device in counting else "ms"
        if points:
            fronts.append(Front(device, title, Objective(LATENCY, unit), y, points))
    return fronts
