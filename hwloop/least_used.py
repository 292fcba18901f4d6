"""Folders with a size limit: what was used longest ago is dropped."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path


def drop_least_used(root: Path, marker: str, limit_bytes: int, *, keep: Path, spared_s: float = 0.0) -> None:
    """Drop the folders below `root` that were used longest ago, until the rest is within the limit.

    A folder counts if a file `marker` is in it; its modification time says when it was used. `keep`, and what was used
    within the last `spared_s` seconds, stay whatever their size. Others may drop some at the same time.
    """
    entries = [entry for path in root.iterdir() if (entry := _Entry.at(path, marker))]
    excess = sum(entry.size_bytes for entry in entries) - limit_bytes
    youngest_ns = time.time_ns() - int(spared_s * 1e9)
    for entry in sorted(entries, key=lambda entry: entry.used_ns):
        if excess <= 0 or entry.used_ns > youngest_ns:
            return
        if entry.path != keep:
            shutil.rmtree(entry.path, ignore_errors=True)
            excess -= entry.size_bytes


@dataclass(frozen=True)
class _Entry:
    """Something kept: its folder, its size and when it was last used."""

    path: Path
    size_bytes: int
    used_ns: int

    @classmethod
    def at(cls, path: Path, marker: str) -> _Entry | None:
        """Return what a folder keeps; None if it keeps nothing, or nothing any more."""
        try:
            if not (path / marker).is_file():
                return None
            size_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            return cls(path, size_bytes, path.stat().st_mtime_ns)
        except FileNotFoundError:
            return None
