"""Active measuring: rounds of choosing what teaches most, measuring it, and fitting.

The caller measures: what this needs is a function that measures candidates, and one that says what the store has. All
that was measured is in the store, so a run that was stopped finds its rows there, whatever it had chosen then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwloop.learning.fitting import Fitting
from hwloop.learning.pool import Pool
from hwloop.learning.rows import Rows
from hwloop.records import Candidate


@dataclass(frozen=True)
class Goal:
    """When to stop: at so many measured candidates, or at a cross-validated error (MAPE, in percent), if any."""

    budget: int
    batch: int = 10
    target_percent: float | None = None


@dataclass(frozen=True)
class Round:
    """How far a run is: candidates measured, those tried in vain, rows in the store, and the error, where known."""

    measured: int
    failed: int
    rows: int
    error_percent: float | None


def measure_actively(
    pool: Pool,
    goal: Goal,
    fitting: Fitting,
    measure: Callable[[Sequence[Candidate]], object],
    measured_rows: Callable[[], Rows | None],
    told: Callable[[Round], None] = lambda _round: None,
) -> str:
    """Measure candidates of the pool until the goal is met, and return in words why it stopped.

    A candidate that could not be measured, or not be trusted, counts against the budget, and is not tried again.
    """
    tried: set[int] = set()
    while True:
        rows = measured_rows()
        found = pool.measured(rows)
        predictor = None
        if rows and len(rows) >= fitting.least_rows:
            predictor = fitting.fit(rows, validate=goal.target_percent is not None)
        errors = predictor.card.errors if predictor else None
        error = errors["mape_percent"] if errors else None
        known = found | tried
        told(Round(len(found), len(tried - found), len(rows) if rows else 0, error))
        if goal.target_percent is not None and error is not None and error <= goal.target_percent:
            return f"the cross-validated error is {error:.1f} %"
        if len(known) >= goal.budget:
            return f"the budget of {goal.budget} candidates is spent"
        chosen = pool.choose(known, min(goal.batch, goal.budget - len(known)), predictor)
        if not chosen:
            return "every candidate of the pool is measured"
        measure([pool.candidates[place] for place in chosen])
        tried.update(chosen)
