"""Waits, within limits, for a device to be calm before a process is timed on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hwloop.records.evidence import LIVE_THROTTLE_BITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwloop.records import Evidence, Limits

SHORTEST_S = 0.001
LOOK_S = 0.25  # between two looks: twenty-five of the kernel's ticks
RISING_C = 1.0  # from one look to the next
MARGIN_C = 3.0  # below the highest temperature, as timing warms the device
LIVE_BITS = sum(LIVE_THROTTLE_BITS)


class Gate:
    """The gate of one device for the length of a run.

    It is passed at once by a calm device, for the cost of one `read` (of two, a quarter of a second apart, before the
    first process of a device with a thermometer). Otherwise it waits up to `limits.settle_s` at a
    time, and up to `limits.settle_total_s` in all; then timing goes on, and the verdict judges what happened. `wait`
    sleeps for so many seconds and says whether the run is being stopped. `threads` is how many processors the
    process to be timed takes.
    """

    def __init__(
        self,
        limits: Limits,
        read: Callable[[], Evidence],
        say: Callable[[str], None],
        wait: Callable[[float], bool],
        *,
        threads: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._read = read
        self._say = say
        self._wait = wait
        self._threads = threads
        self._clock = clock
        self._left_s = limits.settle_total_s
        self._told = False
        self._first = True

    def await_calm(self) -> float:
        """Return the seconds that were waited: none where the device is calm or the time for waiting is spent.

        Raises:
            DeviceError: whatever `read` raises.
        """
        limit_s = min(self._limits.settle_s, self._left_s)
        if limit_s <= 0:
            return 0.0
        began = self._clock()
        last = self._read()
        unrest = self._at_a_glance(last)
        if not unrest and self._first and last.temperature_c is not None and not self._wait(LOOK_S):
            now = self._read()  # whether a temperature is level shows in two looks; once a run is enough
            unrest, last = self._since(last, now), now
        self._first = False
        while unrest and (left_s := limit_s - (self._clock() - began)) > 0:
            if not self._told:
                self._told = True
                self._say(f"waiting up to {limit_s:g} s for a calm device: {unrest}")
            if self._wait(min(LOOK_S, max(left_s, SHORTEST_S))):
                break
            now = self._read()
            unrest = self._since(last, now)
            last = now
        waited_s = self._clock() - began
        self._left_s -= waited_s
        return waited_s

    def _at_a_glance(self, now: Evidence) -> str:
        """Return what a single look finds wrong; nothing where there is room for what runs just now."""
        if now.running is not None and now.processors is not None and now.running + self._threads > now.processors:
            return f"{now.running} threads of others want its {now.processors} processors"
        return self._heat(now)

    def _since(self, last: Evidence, now: Evidence) -> str:
        """Return what is wrong at the second of two looks: a single one may meet what runs for a moment only."""
        return self._load(last, now) or self._heat(now) or _rise(last, now)

    def _load(self, last: Evidence, now: Evidence) -> str:
        processors = now.processors
        if processors is None or last.busy_s is None or now.busy_s is None or last.idle_s is None or now.idle_s is None:
            return ""
        busy_s, idle_s = now.busy_s - last.busy_s, now.idle_s - last.idle_s
        if busy_s + idle_s <= 0:
            return ""
        in_use = processors * busy_s / (busy_s + idle_s)
        if in_use + self._threads <= processors + self._limits.foreign_load * self._threads:
            return ""
        return f"others use {in_use:.1f} of its {processors} processors"

    def _heat(self, now: Evidence) -> str:
        if bits := (now.throttled or 0) & LIVE_BITS:
            return ", ".join(word for bit, word in LIVE_THROTTLE_BITS.items() if bits & bit)
        hottest_c = self._limits.hottest_c - MARGIN_C
        if now.temperature_c is not None and now.temperature_c > hottest_c:
            return f"it has {now.temperature_c:.1f} °C, and shall have {hottest_c:g} °C or less"
        return ""


def _rise(last: Evidence, now: Evidence) -> str:
    if last.temperature_c is None or now.temperature_c is None or now.temperature_c - last.temperature_c < RISING_C:
        return ""
    return f"its temperature rises, from {last.temperature_c:.1f} to {now.temperature_c:.1f} °C"
