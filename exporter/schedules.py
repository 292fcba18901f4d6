"""How one kernel is made, other than as its rule decides by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tiling:
    """The kernel's rule with register tiles of `rows` by `vectors`, on `cores` cores (0: as the rule decides)."""

    rows: int
    vectors: int
    cores: int = 0

    def as_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"rows": self.rows, "vectors": self.vectors, "cores": self.cores}

    def __str__(self) -> str:
        cores = f" on {self.cores} core{'s' if self.cores > 1 else ''}" if self.cores else ""
        return f"rule with tile {self.rows}x{self.vectors}{cores}"


@dataclass(frozen=True)
class Trace:
    """What MetaSchedule did to the kernel that no rule has touched, as the JSON text of its trace."""

    steps: str

    def as_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"trace": self.steps}

    def __str__(self) -> str:
        return "metaschedule"


Schedule = Tiling | Trace
Schedules = Mapping[str, Schedule]  # by the digest of the kernel


def schedule_from_json(found: Mapping[str, Any]) -> Schedule:
    """Return what `as_json` gave the JSON form of.

    Raises:
        KeyError, TypeError, ValueError: it is no schedule.
    """
    if "trace" in found:
        return Trace(str(found["trace"]))
    return Tiling(int(found["rows"]), int(found["vectors"]), int(found["cores"]))
