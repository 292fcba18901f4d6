"""What a search is to find: objectives, constraints, and how results stand to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwloop.errors import UsageError
from hwloop.search.strategies.base import Result

ACCURACY, LATENCY, SIZE = "accuracy", "latency", "size"
NAMES = (ACCURACY, LATENCY, SIZE)
# What one unit is in base units: shares of 1, ms (instructions on emulated devices, which have no unit), bytes.
UNITS = {
    ACCURACY: {"": 1.0, "%": 0.01},
    LATENCY: {"": 1.0, "us": 1e-3, "ms": 1.0, "s": 1e3},
    SIZE: {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30},
}
FORMS = "latency<=5ms, latency@pi4<=3e6, accuracy>=90% or size<=2MB"
_CONSTRAINT = re.compile(r"(?P<key>[^<>=]+?)\s*(?P<sign><=|>=)\s*(?P<number>[-+\d.]+(?:[eE][-+]?\d+)?)\s*(?P<unit>\D*)")


@dataclass(frozen=True)
class Objective:
    """A quantity that is wanted high (accuracy, as a share) or low (latency in ms, size in bytes).

    On an emulated device latency is in instructions per call. Latency alone may be that of one `device`, so that
    several devices are searched for at once.

    Raises:
        UsageError: there is no such quantity, or it is no device's.
    """

    name: str
    device: str | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise UsageError(
                f"there is no objective {self.name!r}", remedy=f"Use {', '.join(NAMES)} or latency@DEVICE."
            )
        if self.device is not None and (self.name != LATENCY or not self.device):
            raise UsageError(
                f"objective {self.name}@{self.device}: latency alone is a device's",
                remedy="Write latency@DEVICE, and the others by their names.",
            )

    @property
    def key(self) -> str:
        """The name by which results have it: `latency`, or `latency@pi4`."""
        return self.name if self.device is None else f"{self.name}@{self.device}"

    @property
    def maximised(self) -> bool:
        """Whether more is better."""
        return self.name == ACCURACY

    @classmethod
    def parse(cls, word: str) -> Objective:
        """Return the objective that a key names; errors as those of the class."""
        name, at, device = word.strip().partition("@")
        return cls(name, device if at else None)


@dataclass(frozen=True)
class Constraint:
    """A bound on a quantity, by an objective's key, in that objective's base unit."""

    key: str
    limit: float
    at_most: bool

    @classmethod
    def parse(cls, word: str) -> Constraint:
        """Return the constraint that a word like `latency<=5ms` or `accuracy>=90%` gives.

        Raises:
            UsageError: it has another form, or the quantity or its unit is unknown.
        """
        found = _CONSTRAINT.fullmatch(word.strip())
        if found is None:
            raise UsageError(f"constraint {word!r} cannot be read", remedy=f"Write, for example, {FORMS}.")
        try:
            objective, number = Objective.parse(found["key"]), float(found["number"])
        except UsageError as error:
            raise UsageError(f"constraint {word!r}: {error}", remedy=error.remedy) from error
        except ValueError:
            raise UsageError(
                f"constraint {word!r}: {found['number']!r} is no number", remedy=f"Write, for example, {FORMS}."
            ) from None
        units = UNITS[objective.name]
        if found["unit"].strip() not in units:
            raise UsageError(
                f"constraint {word!r}: {objective.name} has no unit {found['unit']!r}",
                remedy=f"Use one of {', '.join(unit for unit in units if unit)}, or none.",
            )
        return cls(objective.key, number * units[found["unit"].strip()], found["sign"] == "<=")

    def excess(self, value: float) -> float:
        """Return by which share of the limit a value breaks it; 0 where it does not."""
        over = value - self.limit if self.at_most else self.limit - value
        return max(over, 0.0) / (abs(self.limit) or 1.0)

    def __str__(self) -> str:
        return f"{self.key}{'<=' if self.at_most else '>='}{self.limit:.6g}"


@dataclass(frozen=True)
class Goal:
    """What is wanted: objectives, the first of which counts most where one alone can count, and constraints."""

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all values that results must have."""
        keys = [objective.key for objective in self.objectives] + [constraint.key for constraint in self.constraints]
        return tuple(dict.fromkeys(keys))

    def costs(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """Return the objectives of a result's values, in their order, all to be minimised."""
        return tuple(-values[one.key] if one.maximised else values[one.key] for one in self.objectives)

    def violation(self, values: Mapping[str, float]) -> float:
        """Return 0 where every constraint is kept, and else the sum of the shares by which limits are exceeded."""
        return sum(constraint.excess(values[constraint.key]) for constraint in self.constraints)

    @classmethod
    def parse(cls, objectives: str, constraints: Iterable[str] = ()) -> Goal:
        """Return the goal that words like `accuracy,latency,size` and `latency<=5ms` give.

        Raises:
            UsageError: a word cannot be read, or an objective stands twice.
        """
        return cls(parse_objectives(objectives), tuple(Constraint.parse(word) for word in constraints))


def parse_objectives(words: str) -> tuple[Objective, ...]:
    """Return the objectives that `accuracy,latency@pi4,size` names.

    Raises:
        UsageError: an objective is unknown or stands twice.
    """
    found = tuple(Objective.parse(word) for word in words.split(","))
    for objective in found:
        if found.count(objective) > 1:
            raise UsageError(f"the objective {objective.key} stands twice", remedy="Name each once.")
    return found


@dataclass(frozen=True)
class Box:
    """The costs between which fronts are compared: the best of each, and the reference point, beyond the worst."""

    ideal: tuple[float, ...]
    reference: tuple[float, ...]

    @classmethod
    def around(cls, goal: Goal, results: Iterable[Result], margin: float = 0.1) -> Box:
        """Return the box of feasible results, its reference point a share `margin` of its sides beyond the worst.

        Raises:
            UsageError: no result is feasible.
        """
        found = [goal.costs(values) for values in _feasible_values(goal, results)]
        if not found:
            raise UsageError("no result is feasible, so there is no front to compare")
        costs = np.array(found)
        low, high = costs.min(axis=0), costs.max(axis=0)
        side = np.where(high > low, high - low, 1.0)
        return cls(tuple(low.tolist()), tuple((high + margin * side).tolist()))


def is_feasible(goal: Goal, result: Result) -> bool:
    """Return whether a candidate was evaluated and keeps the constraints."""
    return result.values is not None and goal.violation(result.values) == 0


def front(goal: Goal, results: Sequence[Result]) -> list[Result]:
    """Return the feasible results that no feasible one beats in an objective without losing in another.

    They stay in their order. Of results with equal costs all are returned.
    """
    feasible = [result for result in results if is_feasible(goal, result)]
    if not feasible:
        return []
    costs = np.array([goal.costs(result.values) for result in feasible if result.values is not None])
    return [result for result, dominated in zip(feasible, _dominated(costs), strict=True) if not dominated]


def closest(goal: Goal, results: Iterable[Result]) -> Result | None:
    """Return the evaluated result that breaks the constraints least, the first of equals; None if there is none."""
    evaluated = [result for result in results if result.values is not None]
    return min(evaluated, key=lambda result: goal.violation(result.values or {}), default=None)


def hypervolume(goal: Goal, results: Iterable[Result], box: Box) -> float:
    """Return the share of a box that feasible results dominate.

    It is the hypervolume (E. Zitzler and L. Thiele, 1998) of costs that are 0 at the box's ideal and 1 at its
    reference point; above 1 only where results are better than the ideal.
    """
    from pymoo.indicators.hv import HV

    ideal, reference = np.array(box.ideal), np.array(box.reference)
    found = [goal.costs(values) for values in _feasible_values(goal, results)]
    costs = (np.array(found).reshape(-1, len(ideal)) - ideal) / (reference - ideal)
    inside = costs[(costs < 1).all(axis=1)]
    return float(HV(ref_point=np.ones(len(ideal)))(inside)) if len(inside) else 0.0


def _feasible_values(goal: Goal, results: Iterable[Result]) -> list[Mapping[str, float]]:
    return [result.values for result in results if result.values is not None and goal.violation(result.values) == 0]


def _dominated(costs: np.ndarray) -> np.ndarray:
    """Return which rows of costs (rows, objectives) another row dominates."""
    no_worse = (costs[:, None, :] <= costs[None]).all(axis=2)
    better = (costs[:, None, :] < costs[None]).any(axis=2)
    return np.asarray((no_worse & better).any(axis=0))
