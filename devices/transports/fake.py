"""A device that is a folder on this machine, with faults to inject: for tests of what happens when devices fail."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.devices.transports.base import Completed
from hwloop.devices.transports.local import LocalTransport
from hwloop.devices.transports.local_process import LocalProcess
from hwloop.errors import DeviceDiskFull, DeviceRefused, DeviceTimeout, DeviceUnreachable


@dataclass(frozen=True)
class Faults:
    """What goes wrong; nothing by default.

    `lost_after` operations (put, get, start, run) the connection is lost, and every process with it.
    `disk_bytes` is all that `put` has room for. `garbage` is what a process's first line becomes.
    """

    unreachable: bool = False
    refused: bool = False
    silent: bool = False
    lost_after: int | None = None
    disk_bytes: int | None = None
    garbage: bytes | None = None


class FakeTransport:
    """Runs commands on this machine as `LocalTransport` does, until a fault is due.

    Every operation is noted in `operations`, as `put PATH` or `start WORD`.
    """

    def __init__(self, device: str, faults: Faults = Faults()) -> None:
        self._device = device
        self._faults = faults
        self._local = LocalTransport(device)
        self._lock = threading.Lock()
        self._written_bytes = 0
        self.operations: list[str] = []

    def open(self, deadline: Deadline) -> None:
        """Connect, or fail as the faults say."""
        if self._faults.unreachable:
            raise DeviceUnreachable(self._device, "no route to it", remedy="This is a fault of a fake device.")
        if self._faults.refused:
            raise DeviceRefused(self._device, "it refused the login", remedy="This is a fault of a fake device.")
        if self._faults.silent:
            raise DeviceTimeout(self._device, "it did not answer in time")

    def close(self) -> None:
        """End every process."""
        self._local.close()

    def put(self, source: Path, path: str, deadline: Deadline) -> None:
        """Copy a file, while there is room."""
        self._count(f"put {path}")
        with self._lock:
            self._written_bytes += source.stat().st_size
            full = self._faults.disk_bytes is not None and self._written_bytes > self._faults.disk_bytes
        if full:
            raise DeviceDiskFull(self._device, f"no room for {source.name}")
        self._local.put(source, path, deadline)

    def get(self, path: str, deadline: Deadline) -> bytes:
        """Read a file."""
        self._count(f"get {path}")
        return self._local.get(path, deadline)

    def start(self, command: Sequence[str], deadline: Deadline) -> LocalProcess:
        """Start a process; what it says first may be garbage."""
        self._count(f"start {command[0]}")
        if self._faults.garbage is not None:
            script = 'printf "%s\\n" "$0"; exec "$@"'
            command = ["sh", "-c", script, self._faults.garbage.decode(), *command]
        return self._local.start(command, deadline)

    def run(self, command: Sequence[str], deadline: Deadline, stdin: bytes = b"") -> Completed:
        """Run a command to its end."""
        self._count(f"run {command[0]}")
        return self._local.run(command, deadline, stdin)

    def _count(self, operation: str) -> None:
        with self._lock:
            self.operations.append(operation)
            lost = self._faults.lost_after is not None and len(self.operations) > self._faults.lost_after
        if lost:
            self._local.close()
            raise DeviceUnreachable(self._device, "the connection was lost")
