"""The seam of a search: a strategy asks for candidates, the caller evaluates them and tells what they are worth.

The caller owns the loop. A strategy knows no clock and no random state but its own, so for the same seed and the same
results it asks for the same candidates: a search that was stopped goes on when its asks and tells are replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hwloop.records import Candidate


@dataclass(frozen=True)
class Result:
    """What a candidate is worth, by the keys of objectives (`Objective.key`); None where it failed."""

    candidate: Candidate
    values: Mapping[str, float] | None


class Strategy(Protocol):
    """Chooses what to evaluate next."""

    def ask(self, count: int) -> list[Candidate]:
        """Return `count` candidates, none of which was asked for or told before.

        There are fewer where the space has no more. Asking again before telling is allowed.
        """

    def tell(self, results: Sequence[Result]) -> None:
        """Learn from results; also from those of candidates that it never asked for."""
