"""What tuning found, kernel by kernel: files of JSON lines in the user's cache, which only ever grow."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hwloop.digests import digest_json
from hwloop.exporter.schedules import Schedule, schedule_from_json
from hwloop.paths import cache_dir
from hwloop.records import Target

TIME, TRIAL, VERDICT = "time", "trial", "verdict"


class TunedKernels:
    """The trials and verdicts of every target, for one `revision` of the compiler: its rules are what they beat.

    A line is written at once and for good; one that a crash cut short is left out when the file is read. Of several
    verdicts on a kernel the last holds.
    """

    def __init__(self, revision: str, root: Path | None = None) -> None:
        self._revision = revision
        self._root = root or cache_dir() / "tuned"

    def path(self, target: Target) -> Path:
        """Return the file of a target."""
        return self._root / f"{digest_json([self._revision, asdict(target)])}.jsonl"

    def add(self, target: Target, kind: str, entry: Mapping[str, object]) -> None:
        """Keep an entry.

        Raises:
            OSError: the cache cannot be written.
        """
        path = self.path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"kind": kind, **entry}).encode() + b"\n"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            os.write(handle, b"\n" * torn + line)
            os.fsync(handle)
        finally:
            os.close(handle)

    def entries(self, target: Target) -> list[dict[str, Any]]:
        """Return all entries, in the order in which they were added."""
        try:
            lines = self.path(target).read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [entry for entry in map(_parsed, lines) if entry]

    def verdicts(self, target: Target) -> dict[str, dict[str, Any]]:
        """Return the last verdict on each kernel, by its digest."""
        return {entry["kernel"]: entry for entry in self.entries(target) if entry["kind"] == VERDICT}

    def schedules(self, target: Target) -> dict[str, Schedule]:
        """Return the schedules that were measured to be faster than the rules' own code, by the kernels' digests."""
        verdicts = self.verdicts(target)
        return {
            kernel: schedule_from_json(entry["schedule"]) for kernel, entry in verdicts.items() if entry["schedule"]
        }


def used_by(kernels: Sequence[str], schedules: Mapping[str, Schedule]) -> dict[str, object]:
    """Return the JSON form of the schedules that a model of these kernels takes."""
    return {kernel: schedules[kernel].as_json() for kernel in sorted(set(kernels)) if kernel in schedules}


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
