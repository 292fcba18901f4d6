"""A search as the page that `hwloop search` writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwloop.cli.search_view import infeasible_line, is_counted
from hwloop.report.fronts import candidate_words
from hwloop.report.objectives import Objective
from hwloop.report.search_page import Constraint, FrontRow, SearchPage, Told, Trial
from hwloop.search.goals import ACCURACY, LATENCY, Box, front, hypervolume
from hwloop.search.strategies.base import Result

if TYPE_CHECKING:
    from hwloop.records import search as records
    from hwloop.search.loop.final import Final
    from hwloop.search.loop.job import SearchJob
    from hwloop.search.loop.run import Found

PLACES = 60  # at which the hypervolume is told


def page_of(job: SearchJob, found: Found) -> SearchPage:
    """Return the page of a search."""
    results = [Result(trial.candidate, trial.values) for trial in found.trials]
    finals = {final.candidate: final for final in found.front}
    return SearchPage(
        space=job.space,
        task=job.task or "no task",
        devices=tuple(device.name for device in job.devices),
        runtime=job.runtime.name,
        strategy=job.strategy,
        seed=job.seed,
        budget=job.budget,
        objectives=tuple(Objective(one.key, _unit(job, one.key), one.maximised) for one in job.goal.objectives),
        constraints=tuple(
            Constraint(one.key, "<=" if one.at_most else ">=", one.limit) for one in job.goal.constraints
        ),
        trials=tuple(
            _trial(trial, number, finals.get(trial.candidate), on_front=trial.candidate in finals)
            for number, batch in enumerate(found.batches, 1)
            for trial in batch
        ),
        hypervolumes=_hypervolumes(job, results),
        front=tuple(_front_row(final) for final in found.front),
        outcome="" if found.front else infeasible_line(job, found),
    )


def _unit(job: SearchJob, key: str) -> str:
    if key == ACCURACY:
        return "fraction"
    if key.startswith(LATENCY):
        return "instructions" if is_counted(job, key) else "ms"
    return "bytes"


def _told(final: Final | None) -> dict[str, Told]:
    return {key: Told(one.mean, one.low, one.high) for key, one in final.predicted.items()} if final else {}


def _trial(trial: records.Trial, number: int, final: Final | None, *, on_front: bool) -> Trial:
    return Trial(
        label=trial.candidate.digest[:8],
        details=candidate_words(trial.candidate),
        values=dict(trial.values or {}),
        predicted=_told(final),
        round=number,
        failure=trial.failure if trial.values is None else None,
        on_front=on_front,
    )


def _front_row(final: Final) -> FrontRow:
    values = dict(final.again.values or final.searched.values or {})
    return FrontRow(final.candidate.digest[:8], candidate_words(final.candidate), values, _told(final))


def _hypervolumes(job: SearchJob, results: Sequence[Result]) -> tuple[tuple[int, float], ...]:
    """Return how much was dominated after some numbers of trials, in the box of all."""
    if not front(job.goal, results):
        return ()
    box = Box.around(job.goal, results)
    step = max(1, len(results) // PLACES)
    counts = sorted({*range(step, len(results) + 1, step), len(results)})
    return tuple((count, hypervolume(job.goal, results[:count], box)) for count in counts)
