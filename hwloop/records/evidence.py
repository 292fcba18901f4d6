"""What a device looked like before, during and after a timing; None where a thing cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

# What a Raspberry Pi's throttle bits say of this moment.
LIVE_THROTTLE_BITS = {
    0x1: "its supply voltage was too low",
    0x2: "its frequency was capped",
    0x4: "it was throttled",
    0x8: "it was at its temperature limit",
}


@dataclass(frozen=True)
class Evidence:
    """The state of the device at one moment.

    `running` is how many threads of others run or want to; `processors` are those that the reader may use, and
    `busy_s` and `idle_s` are their time since boot, all of them together.
    """

    governor: str | None = None
    frequencies_mhz: tuple[float, ...] = ()
    temperature_c: float | None = None
    throttled: int | None = None
    load_1min: float | None = None
    memory_available_bytes: int | None = None
    running: int | None = None
    processors: int | None = None
    busy_s: float | None = None
    idle_s: float | None = None


@dataclass(frozen=True)
class Conditions:
    """What the timed processors went through while calls were timed.

    `clocks_mhz` (of the fastest timed processor), `temperatures_c` (of the hottest zone) and `throttled` (the bits of
    all moments together) were read between calls, in order. `foreign_s` is processor time that others took on
    the timed processors, the hypervisor's included; `waited_s` is how long the threads of this process were ready
    and had no processor; both out of `window_s` on each of `cpus`. Where calls were timed at full speed only,
    `full_speed_ns` is the shortest time of a loop that shows the processor's speed, and `set_aside` how many calls were
    left out because it took longer right after them.
    """

    cpus: tuple[int, ...] = ()
    window_s: float = 0.0
    clocks_mhz: tuple[float, ...] = ()
    temperatures_c: tuple[float, ...] = ()
    throttled: int | None = None
    foreign_s: float | None = None
    waited_s: float | None = None
    involuntary_switches: int | None = None
    full_speed_ns: int | None = None
    set_aside: int | None = None

    @property
    def foreign_share(self) -> float | None:
        """The share of the timed processors' time that others took."""
        return self._share(self.foreign_s)

    @property
    def waited_share(self) -> float | None:
        """The share of its time that this process waited for a processor."""
        return self._share(self.waited_s)

    def _share(self, seconds: float | None) -> float | None:
        whole_s = self.window_s * len(self.cpus)
        return None if seconds is None or whole_s <= 0 else seconds / whole_s
