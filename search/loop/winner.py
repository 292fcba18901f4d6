"""The winner of a search that is in the store, by a rule such as `fastest with accuracy>=0.9`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hwloop.errors import UsageError
from hwloop.records.search import StoredSearch, Trial
from hwloop.search.goals import ACCURACY, LATENCY, SIZE, Constraint

RULES = "fastest, smallest or 'most accurate', and perhaps: with accuracy>=0.9, size<=2MB"


@dataclass(frozen=True)
class Rule:
    """What a winner is best in, and what it must keep."""

    wanted: str
    constraints: tuple[Constraint, ...] = ()

    @classmethod
    def parse(cls, words: str) -> Rule:
        """Return the rule that words give.

        Raises:
            UsageError: they cannot be read.
        """
        best, _, limits = words.partition(" with ")
        wanted = {"fastest": LATENCY, "smallest": SIZE, "most accurate": ACCURACY}.get(best.strip())
        if wanted is None:
            raise UsageError(f"--rule {words!r} cannot be read", remedy=f"Write {RULES}.")
        return cls(wanted, tuple(Constraint.parse(word) for word in limits.split(",") if word.strip()))


def winner(search: StoredSearch, rule: Rule, device: str | None) -> Trial:
    """Return the best of a search's front, as it was measured again in the end; latency is that of `device`.

    Raises:
        UsageError: the search is not finished, has no front, measured no such device, or nothing keeps the rule.
    """
    front = _front(search)
    devices: list[str] = list(search.request["devices"])
    if device is not None and device not in devices:
        raise UsageError(
            f"search {search.id} measured {', '.join(devices)}, and not {device}",
            remedy="Name one of these with -d, or search for the other.",
        )
    values_of = _named_for(device or devices[0], devices)
    good = [trial for trial in front if _keeps(values_of(trial), rule)]
    if not good:
        raise UsageError(
            f"nothing on the front of search {search.id} keeps {', '.join(map(str, rule.constraints))}",
            remedy="Ask for less, or search again with it as a --constraint.",
        )
    if any(rule.wanted not in values_of(trial) for trial in good):
        raise UsageError(f"search {search.id} knows no {rule.wanted}", remedy="Search with a --task for accuracies.")
    sign = -1 if rule.wanted == ACCURACY else 1
    return min(good, key=lambda trial: sign * values_of(trial)[rule.wanted])


def _front(search: StoredSearch) -> list[Trial]:
    outcome: Mapping[str, Any] | None = search.outcome
    if outcome is None:
        raise UsageError(f"search {search.id} is not finished", remedy="Give its command again: it goes on.")
    front = [Trial.from_json(final["again"]) for final in outcome["front"]]
    found = [trial for trial in front if trial.values]
    if not found:
        raise UsageError(f"search {search.id} found nothing that keeps its constraints")
    return found


def _named_for(device: str, devices: list[str]) -> Callable[[Trial], dict[str, float]]:
    """Return a function to a trial's values, with `latency` for that of one device among several."""

    def values(trial: Trial) -> dict[str, float]:
        found = dict(trial.values or {})
        return found if len(devices) == 1 else {**found, LATENCY: found[f"{LATENCY}@{device}"]}

    return values


def _keeps(values: Mapping[str, float], rule: Rule) -> bool:
    missing = [one.key for one in rule.constraints if one.key not in values]
    if missing:
        raise UsageError(f"the search knows no {missing[0]}", remedy=f"It knows {', '.join(sorted(values))}.")
    return all(one.excess(values[one.key]) == 0 for one in rule.constraints)
