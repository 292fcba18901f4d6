"""What a compiler and a package resolver must know of this device."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from typing import Any


def read_text(path: str) -> str | None:
    """Return a small file's text without its line end, or None where it cannot be read."""
    try:
        with open(path) as file:
            return file.read().strip("\n\0 ")
    except (OSError, UnicodeDecodeError):
        return None


def cpuinfo() -> tuple[str, str, list[str]]:
    """Return model, part and flags of the first processor in /proc/cpuinfo."""
    fields: dict[str, str] = {}
    for line in (read_text("/proc/cpuinfo") or "").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    model = read_text("/sys/firmware/devicetree/base/model") or fields.get("model name") or fields.get("Model")
    flags = fields.get("flags") or fields.get("Features") or ""
    return model or "", fields.get("CPU part", ""), sorted(flags.split())


def memory_bytes(field: str) -> int | None:
    """Return a field of /proc/meminfo in bytes, or None."""
    for line in (read_text("/proc/meminfo") or "").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return None


def glibc_version() -> list[int]:
    """Return glibc's (major, minor); (0, 0) where the C library is another one."""
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (AttributeError, ValueError, OSError):
        return [0, 0]
    return [int(part) for part in version.split(".")[:2]] if name == "glibc" else [0, 0]


def identity() -> str:
    """Return what tells this board from another."""
    model, part, _ = cpuinfo()
    marks = [read_text("/etc/machine-id"), read_text("/sys/firmware/devicetree/base/serial-number")]
    words = "|".join([platform.node(), model, part] + [mark or "" for mark in marks])
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def facts(cache: str) -> dict[str, Any]:
    """Return what a compiler and a package resolver must know of this device."""
    model, part, features = cpuinfo()
    usable = os.statvfs(cache)
    return {
        "machine": platform.machine(),
        "kernel": platform.release(),
        "glibc": glibc_version(),
        "python": list(sys.version_info[:3]),
        "cpu_model": model,
        "cpu_part": part,
        "cpu_features": features,
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory_bytes("MemTotal") or 0,
        "disk_free_bytes": usable.f_bavail * usable.f_frsize,
        "cache_dir": cache,
        "identity": identity(),
    }
