"""The state of this device right now. `root` is the folder that holds its /sys and /proc."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from .facts import memory_bytes, read_text

if TYPE_CHECKING:
    from collections.abc import Collection

VCGENCMD_S = 5
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
IDLE, IO_WAIT, GUEST = 3, 4, 8  # places in a processor's line of /proc/stat; what a guest took counts as user's too


def throttle_bits(root: str = "/") -> int | None:
    """Return a Raspberry Pi's throttle bits, or None on other boards."""
    text = throttle_file(root)
    if text is None and shutil.which("vcgencmd"):
        try:
            asked = subprocess.run(
                ["vcgencmd", "get_throttled"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=VCGENCMD_S
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        text = asked.stdout.decode(errors="replace").strip().partition("=")[2]
    return bits_of(text)


def throttle_file(root: str) -> str | None:
    """Return the text of the kernel's throttle bits, which unlike vcgencmd costs no process."""
    return read_text(root + "/sys/devices/platform/soc/soc:firmware/get_throttled")


def bits_of(text: str | None) -> int | None:
    """Return what a hexadecimal text says, or None where it says nothing."""
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None


def thermal_zones(root: str = "/") -> list[str]:
    """Return the files of the thermal zones that can be read."""
    zones = sorted(glob.glob(glob.escape(root) + "/sys/class/thermal/thermal_zone*/temp"))
    return [zone for zone in zones if whole(zone) is not None]


def hottest_c(zones: list[str]) -> float | None:
    """Return the highest temperature of some zones, in °C."""
    found = [value for value in map(whole, zones) if value is not None]
    return max(found) / 1000 if found else None


def whole(path: str) -> int | None:
    """Return the whole number that a file holds, or None."""
    text = read_text(path)
    return int(text) if text and text.lstrip("-").isdigit() else None


def processor_times(cpus: Collection[int], root: str = "/") -> tuple[float, float] | None:
    """Return the busy and the idle seconds of some processors since boot, all of them together.

    What a hypervisor gave to other guests is busy. None where the kernel does not say.
    """
    names = {"cpu%d" % cpu for cpu in cpus}
    ticks = [line.split() for line in (read_text(root + "/proc/stat") or "").splitlines()]
    found = [[int(word) for word in words[1 : GUEST + 1]] for words in ticks if words and words[0] in names]
    if not names or len(found) < len(names):
        return None
    idle = sum(times[IDLE] + times[IO_WAIT] for times in found)
    return (sum(map(sum, found)) - idle) / TICKS_PER_S, idle / TICKS_PER_S


def running_others(root: str = "/") -> int | None:
    """Return how many threads besides this one run or want to."""
    for line in (read_text(root + "/proc/stat") or "").splitlines():
        if line.startswith("procs_running "):
            return max(0, int(line.split()[1]) - 1)
    return None


def evidence(root: str = "/") -> dict[str, Any]:
    """Return the state of the device: clocks, temperature, throttling, load, memory."""
    root = root.rstrip("/")
    policies = sorted(glob.glob(glob.escape(root) + "/sys/devices/system/cpu/cpufreq/policy*"))
    frequencies = [whole(policy + "/scaling_cur_freq") for policy in policies]
    cpus = os.sched_getaffinity(0)
    busy_s, idle_s = processor_times(cpus, root) or (None, None)
    return {
        "governor": read_text(policies[0] + "/scaling_governor") if policies else None,
        "frequencies_mhz": [frequency / 1000 for frequency in frequencies if frequency is not None],
        "temperature_c": hottest_c(thermal_zones(root)),
        "throttled": throttle_bits(root),
        "load_1min": os.getloadavg()[0],
        "memory_available_bytes": memory_bytes("MemAvailable"),
        "running": running_others(root),
        "processors": len(cpus),
        "busy_s": busy_s,
        "idle_s": idle_s,
    }
