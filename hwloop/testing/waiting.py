"""Waiting for what other processes do, in tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hwloop.deadline import Deadline


def until(condition: Callable[[], bool], limit_s: float = 20.0) -> bool:
    """Wait until a condition holds; return whether it does."""
    deadline = Deadline.after(limit_s)
    while not condition() and not deadline.expired:
        time.sleep(0.01)
    return condition()


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def bearers(mark: str) -> list[int]:
    """Return the living processes whose environment or command line holds `mark`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in words:
                found.append(int(entry.name))
    return found
