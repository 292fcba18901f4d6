"""The state of this device right now."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from typing import Any

from .facts import memory_bytes, read_text


def throttle_bits() -> int | None:
    """Return a Raspberry Pi's throttle bits, or None on other boards."""
    text = read_text("/sys/devices/platform/soc/soc:firmware/get_throttled")
    if text is None and shutil.which("vcgencmd"):
        asked = subprocess.run(["vcgencmd", "get_throttled"], stdout=subprocess.PIPE, timeout=5, check=False)
        text = asked.stdout.decode().strip().partition("=")[2]
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None


def evidence() -> dict[str, Any]:
    """Return the state of the device: clocks, temperature, throttling, load, memory."""
    policies = sorted(glob.glob("/sys/devices/system/cpu/cpufreq/policy*"))
    frequencies = [read_text(policy + "/scaling_cur_freq") for policy in policies]
    zones = [read_text(zone) for zone in glob.glob("/sys/class/thermal/thermal_zone*/temp")]
    temperatures = [int(text) / 1000 for text in zones if text and text.lstrip("-").isdigit()]
    return {
        "governor": read_text(policies[0] + "/scaling_governor") if policies else None,
        "frequencies_mhz": [int(text) / 1000 for text in frequencies if text and text.isdigit()],
        "temperature_c": max(temperatures) if temperatures else None,
        "throttled": throttle_bits(),
        "load_1min": os.getloadavg()[0],
        "memory_available_bytes": memory_bytes("MemAvailable"),
    }
