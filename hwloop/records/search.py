"""What a search tried: candidates with what was found of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hwloop.records.candidate import Candidate


@dataclass(frozen=True)
class Trial:
    """A candidate that a search asked for: its values by objective, or why there are none.

    `values` are accuracies between 0 and 1, latencies in ms (on emulated devices instructions of a call) and sizes in
    bytes. `measurements` are the ids of what was measured for them.
    """

    candidate: Candidate
    values: Mapping[str, float] | None
    failure: str = ""
    measurements: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values is not None:
            object.__setattr__(self, "values", MappingProxyType(dict(sorted(self.values.items()))))

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "candidate": self.candidate.as_json(),
            "values": None if self.values is None else dict(self.values),
            "failure": self.failure,
            "measurements": list(self.measurements),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Trial:
        """Return the trial that a JSON form is of."""
        candidate = Candidate.from_json(found["candidate"])
        return cls(candidate, found["values"], found["failure"], tuple(found["measurements"]))


@dataclass(frozen=True)
class StoredSearch:
    """A search in the store: what was asked, its batches of trials in order, and what came of it, if it is finished."""

    id: str
    created_at: str
    request: Mapping[str, Any]
    batches: tuple[tuple[Trial, ...], ...]
    outcome: Mapping[str, Any] | None = None

    @property
    def trials(self) -> list[Trial]:
        """All trials in order."""
        return [trial for batch in self.batches for trial in batch]
