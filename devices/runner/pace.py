"""Whether the timed processor runs at its full speed: on a virtual machine, others may slow it and nothing tells."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOP = range(600)  # some ten microseconds of work that touches no memory
SLOWER = 1.25  # times what the loop takes at full speed; on a core that others share it takes more
QUICKEST = 0.02  # of the loops are as quick as at full speed; the very quickest may be luck


def loop_ns() -> int:
    """Return how long a loop of fixed work takes."""
    start = time.perf_counter_ns()
    for _ in LOOP:
        pass
    return time.perf_counter_ns() - start


class AnyPace:
    """Keeps every call, as quick as the processor was."""

    full_speed_ns: int | None = None

    def note(self) -> None:
        """Do nothing between two calls."""

    def kept(self, times: Sequence[int]) -> Sequence[int]:
        """Return all times."""
        return times


class FullPace(AnyPace):
    """Runs a loop of fixed work after each call; where it takes longer than usual, the call may have, too.

    What it takes at full speed depends on the calls between, as vector instructions lower the clock. So it is found in
    this process; `known_ns` is what earlier ones of the same model found (0: nothing).
    """

    def __init__(self, known_ns: int, loop: Callable[[], int] = loop_ns) -> None:
        self.known_ns = known_ns
        self.loop = loop
        self.loops = [loop()]

    def note(self) -> None:
        """Run the loop; right after each call."""
        self.loops.append(self.loop())

    @property
    def full_speed_ns(self) -> int:  # type: ignore[override]
        """What the loop takes at full speed, as far as is known."""
        own_ns = sorted(self.loops)[int(QUICKEST * len(self.loops))]
        return min(own_ns, self.known_ns or own_ns)

    def kept(self, times: Sequence[int]) -> Sequence[int]:
        """Return the times of calls with full speed before and after, in order."""
        limit_ns = SLOWER * self.full_speed_ns
        full = [took_ns <= limit_ns for took_ns in self.loops]
        return [time_ns for time_ns, before, after in zip(times, full, full[1:]) if before and after]
