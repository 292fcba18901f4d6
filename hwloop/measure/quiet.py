"""Quiet on this host: what is timed here alone does not share the machine with what makes noise here."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OVERTAKING = 4  # compilers that may begin while a timing waits


class Quiet:
    """Timings on this host exclude noise (compilers, emulators) and each other; noise may be many.

    A timing that waits goes first, but that a few compilers may join one that it must wait for anyway: else they
    would run one at a time wherever something is always ready to be timed.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._noise = 0
        self._timing = False
        self._timings_waiting = 0
        self._overtaken = 0
        self._compilers = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Hold the host for one timing."""
        with self._changed:
            self._timings_waiting += 1
            self._changed.wait_for(lambda: not self._timing and not self._noise)
            self._timings_waiting -= 1
            self._overtaken = 0
            self._timing = True
        try:
            yield
        finally:
            with self._changed:
                self._timing = False
                self._changed.notify_all()

    @contextmanager
    def noise(self) -> Iterator[None]:
        """Make noise; a timing that waits goes first."""
        with self._noisy(lambda: not self._timings_waiting):
            yield

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Make noise as a compiler: no more of them at once than this host has processors."""
        with self._compilers, self._noisy(lambda: not self._timings_waiting or self._may_overtake):
            yield

    @property
    def _may_overtake(self) -> bool:
        return self._noise > 0 and self._overtaken < OVERTAKING

    @contextmanager
    def _noisy(self, may: Callable[[], bool]) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._timing and may())
            self._noise += 1
            self._overtaken += self._timings_waiting > 0
        try:
            yield
        finally:
            with self._changed:
                self._noise -= 1
                self._changed.notify_all()
