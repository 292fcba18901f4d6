"""What the timed processors go through while calls are timed. `root` is the folder that holds /sys and /proc."""

from __future__ import annotations

import glob
import resource
import time
from typing import TYPE_CHECKING, Any

from .evidence import bits_of, hottest_c, processor_times, thermal_zones, throttle_file, whole
from .facts import read_text

if TYPE_CHECKING:
    from collections.abc import Sequence


class Watch:
    """Looks between timed calls, never within one; `conditions` tells what was seen since `start`."""

    def __init__(self, cpus: Sequence[int], root: str = "/") -> None:
        self.cpus = list(cpus)
        self.root = root.rstrip("/")
        clock = self.root + "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq"
        self.clocks = [clock % cpu for cpu in self.cpus if whole(clock % cpu) is not None]
        self.zones = thermal_zones(self.root)
        self.clocks_mhz: list[float] = []
        self.temperatures_c: list[float] = []
        self.throttled = bits_of(throttle_file(self.root))

    def start(self) -> None:
        """Begin the window; right before the first timed call."""
        self.look()
        self.began = self.read()

    def read(self) -> tuple[float, float | None, float, float | None, int]:
        """Return the time, the processors' busy time, this process's own, its waiting (all in s), and its switches."""
        times = processor_times(self.cpus, self.root)
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        return time.perf_counter(), times and times[0], time.process_time(), self.waited_s(), switches

    def waited_s(self) -> float | None:
        """Return how long the threads of this process were ready and had no processor."""
        texts = [read_text(file) for file in glob.glob(glob.escape(self.root) + "/proc/self/task/*/schedstat")]
        delays = [text.split()[1] for text in texts if text and len(text.split()) == 3]
        return sum(map(int, delays)) / 1e9 if delays else None

    def look(self) -> None:
        """Note the clock of the fastest timed processor, as the others may idle now; temperature; throttle bits."""
        clocks = [clock for clock in map(whole, self.clocks) if clock is not None]
        if clocks:
            self.clocks_mhz.append(max(clocks) / 1000)
        temperature = hottest_c(self.zones)
        if temperature is not None:
            self.temperatures_c.append(temperature)
        if self.throttled is not None:
            self.throttled |= bits_of(throttle_file(self.root)) or 0

    def conditions(self) -> dict[str, Any]:
        """Return what was seen; right after the last timed call."""
        ended = self.read()
        self.look()
        window_s, busy_s, own_s, waited_s, switches = (
            None if now is None or then is None else now - then for now, then in zip(ended, self.began)
        )
        # The kernel counts in ticks: the difference may fall below nothing.
        foreign_s = None if busy_s is None or own_s is None else max(0.0, busy_s - own_s)
        return {
            "cpus": self.cpus,
            "window_s": window_s,
            "clocks_mhz": self.clocks_mhz,
            "temperatures_c": self.temperatures_c,
            "throttled": self.throttled,
            "foreign_s": foreign_s,
            "waited_s": None if waited_s is None else max(0.0, waited_s),
            "involuntary_switches": switches,
        }
