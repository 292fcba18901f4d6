"""The page of a search: its front, what was predicted against what was measured, its progress, every candidate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hwloop.report.objectives import Objective
from hwloop.report.page import Page, Section, write_page

SECTIONS = (
    Section(
        "front", "Front", "What was measured on the device; no other candidate beats those of the front in everything."
    ),
    Section("predicted", "Predicted against measured", "By a predictor that learned from the other candidates alone."),
    Section("progress", "Progress", "How much of the objectives' space the measured candidates dominate."),
    Section("final", "Final front", "Each candidate of the front as it was measured again and evaluated in the end."),
    Section("trials", "All candidates", "Everything that was measured, failures too."),
)

SCRIPTS = ("against.js", "search.js")


@dataclass(frozen=True)
class Constraint:
    """What a candidate must keep to: an objective's value is at most (`<=`) or at least (`>=`) the bound."""

    objective: str
    relation: str
    bound: float

    def holds(self, value: float) -> bool:
        """Whether a value keeps to it."""
        return value <= self.bound if self.relation == "<=" else value >= self.bound


@dataclass(frozen=True)
class Told:
    """A predicted value and its interval, in the objective's unit."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Trial:
    """One measured candidate.

    `details` say in words what it is (choices of its architecture, schemes of its layers). `values` and `predicted`
    are by objective; a failed candidate has a `failure` and the values that are known all the same.
    """

    label: str
    details: Mapping[str, str]
    values: Mapping[str, float]
    predicted: Mapping[str, Told] = field(default_factory=dict)
    round: int = 0
    failure: str | None = None
    on_front: bool = False


@dataclass(frozen=True)
class FrontRow:
    """A candidate of the final front: measured again and evaluated; `predicted` is by a predictor that has not
    seen it."""

    label: str
    details: Mapping[str, str]
    values: Mapping[str, float]
    predicted: Mapping[str, Told] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchPage:
    """Everything that the page shows.

    `trials` are in the order of measuring; `hypervolumes` are pairs of a number of measurements and the hypervolume
    after them. `outcome` is a sentence where there is something to say, such as that the constraints cannot be met.
    """

    space: str
    task: str
    devices: tuple[str, ...]
    runtime: str
    strategy: str
    seed: int
    budget: int
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    trials: tuple[Trial, ...] = ()
    hypervolumes: tuple[tuple[int, float], ...] = ()
    front: tuple[FrontRow, ...] = ()
    outcome: str = ""


def write_search_page(path: Path, page: SearchPage) -> None:
    """Write the page of a search as one HTML file.

    Raises:
        UsageError: it cannot be written, or Jinja is not installed.
    """
    devices = ", ".join(page.devices)
    failed = sum(trial.failure is not None for trial in page.trials)
    facts = [
        ("device", devices),
        ("runtime", page.runtime),
        ("strategy", page.strategy),
        ("seed", str(page.seed)),
        ("measured", f"{len(page.trials)} of {page.budget}" + (f", {failed} failed" if failed else "")),
        ("on the front", str(sum(trial.on_front for trial in page.trials))),
        *(("constraint", _in_words(page, one)) for one in page.constraints),
    ]
    title = f"{page.space} for {page.task} on {devices}"
    wanted = (f"{'high' if one.maximize else 'low'} {one.title}" for one in page.objectives)
    subtitle = f"Candidates of a search space, measured on the device, for {', '.join(wanted)}."
    write_page(path, Page(title, subtitle, SECTIONS, SCRIPTS, _data(page), facts, page.outcome))


def _data(page: SearchPage) -> dict[str, object]:
    return {
        "objectives": [one.as_json() for one in page.objectives],
        "constraints": [asdict(one) for one in page.constraints],
        "trials": [
            {
                "label": trial.label,
                "details": list(trial.details.items()),
                "values": _finite(trial.values),
                "predicted": _told(trial.predicted),
                "round": trial.round,
                "failure": trial.failure,
                "on_front": trial.on_front,
                "feasible": _feasible(page, trial),
            }
            for trial in page.trials
        ],
        "hypervolumes": [list(pair) for pair in page.hypervolumes if math.isfinite(pair[1])],
        "front": [
            {
                "label": row.label,
                "details": list(row.details.items()),
                "values": _finite(row.values),
                "predicted": _told(row.predicted),
            }
            for row in page.front
        ],
    }


def _in_words(page: SearchPage, one: Constraint) -> str:
    found = next((objective for objective in page.objectives if objective.key == one.objective), None)
    title, unit = (found.title, found.unit) if found else (one.objective, "")
    return f"{title} {'≤' if one.relation == '<=' else '≥'} {one.bound:g} {'' if unit == 'fraction' else unit}".strip()


def _feasible(page: SearchPage, trial: Trial) -> bool:
    known = [one for one in page.constraints if one.objective in trial.values]
    return trial.failure is None and all(one.holds(trial.values[one.objective]) for one in known)


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in values.items() if math.isfinite(value)}


def _told(predicted: Mapping[str, Told]) -> dict[str, list[float | None]]:
    """Return predictions as lists; an end of an interval that is not finite is None."""
    return {
        key: [one.value, *(end if math.isfinite(end) else None for end in (one.low, one.high))]
        for key, one in predicted.items()
        if math.isfinite(one.value)
    }
