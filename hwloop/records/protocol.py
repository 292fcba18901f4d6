"""How a timing is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hwloop.digests import digest_json


@dataclass(frozen=True)
class TimingProtocol:
    """Warm-up, stop rule, processes and order of a timing.

    A measurement ends when at least `processes` fresh processes ran, `min_calls` calls were timed and the 95 %
    interval of the median is narrower than `relative_width` of it; or at `max_calls` calls or `seconds` of
    timed calls in all. On an emulated device each process counts the instructions of `counted_calls` calls.
    `full_speed` leaves out calls while others slow the processor unseen, see devices/runner/pace.py.
    """

    processes: int = 3
    seconds: float = 3.0
    relative_width: float = 0.02
    min_calls: int = 64
    max_calls: int = 100_000
    warmup_seconds: float = 0.5
    threads: int = 1
    counted_calls: int = 6
    seed: int = 0
    process_deadline_s: float = 120.0
    full_speed: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the protocol as it is stored; what is as it always was before is left out, so that digests stay."""
        found = asdict(self)
        return found if self.full_speed else {name: value for name, value in found.items() if name != "full_speed"}

    @classmethod
    def from_json(cls, found: Mapping[str, object]) -> TimingProtocol:
        """Return the protocol of a stored measurement; what only another version knows is left out."""
        return cls(**{name: value for name, value in found.items() if name in cls.__dataclass_fields__})  # type: ignore[arg-type]

    @property
    def digest(self) -> str:
        """The content digest; equal digests mean comparable measurements."""
        return digest_json(self.as_json())


@dataclass(frozen=True)
class ProcessBudget:
    """What one process may spend on timed calls; zero seconds allow one call."""

    seconds: float
    min_calls: int
    max_calls: int
