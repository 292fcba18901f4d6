"""Cuts a connection when something on it outlives its deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hwloop.deadline import Deadline

GRACE_S = 0.5


class Watchdog:
    """Calls `cut` when a watched block is still running half a second after its deadline.

    A last resort: for a send on a connection whose peer is gone there is no time-out.
    """

    def __init__(self, cut: Callable[[], None]) -> None:
        self._cut = cut
        self._changed = threading.Condition()
        self._due: dict[object, Deadline] = {}
        self._thread: threading.Thread | None = None
        self._wakes_at_s = float("inf")

    @contextmanager
    def watching(self, deadline: Deadline) -> Iterator[None]:
        """Watch a block."""
        token = object()
        with self._changed:
            self._due[token] = Deadline(deadline.at_s + GRACE_S)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True, name="hwloop-watchdog")
                self._thread.start()
            elif self._due[token].at_s < self._wakes_at_s:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._due[token]

    def rest(self) -> None:
        """Let the watching thread end, if nothing is watched; it comes back when needed."""
        with self._changed:
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while self._due:
                first = min(self._due.values(), key=lambda due: due.at_s)
                self._wakes_at_s = first.at_s
                if first.expired:
                    self._cut()
                    # What is late now ends by the cut; it needs no second one at once.
                    self._due = {token: Deadline.after(GRACE_S) if d.expired else d for token, d in self._due.items()}
                else:
                    self._changed.wait(first.remaining_s)
            self._thread = None
            self._wakes_at_s = float("inf")
