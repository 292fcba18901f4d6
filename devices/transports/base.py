"""The seam between hwloop and a device: how bytes and commands reach it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hwloop.deadline import Deadline


@dataclass(frozen=True)
class Completed:
    """A command that ended: its exit status (negative: the signal) and both streams."""

    status: int
    stdout: bytes
    stderr: bytes


class Process(Protocol):
    """A command that runs on a device, spoken to line by line.

    Both of its streams are drained all the time, so that neither can block it, until 16 MiB of lines are unread: then
    it waits for the reader. Lost connections raise `DeviceUnreachable`, passed deadlines `DeviceTimeout`.
    """

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send `data` to its standard input."""

    def read_line(self, deadline: Deadline) -> bytes:
        """Return the next line of standard output without its line end.

        Raises:
            EOFError: standard output ended.
            RunnerError: the line is longer than 256 MiB; the process was killed.
        """

    def stderr_tail(self) -> str:
        """Return the last 64 KiB or less of its standard error."""

    def close_stdin(self) -> None:
        """Send end-of-file to its standard input."""

    def wait(self, deadline: Deadline) -> int:
        """Wait for the end and return the exit status (negative: the signal)."""

    def kill(self) -> None:
        """End it and everything that it started, sessions of their own or not; do nothing if all have ended."""


class Transport(Protocol):
    """How bytes and commands reach one device.

    Methods may be called from several threads. Commands are lists of words; no shell sees them unquoted.
    Remote paths are absolute. Every method ends by its deadline and raises only from `hwloop.errors`:
    `DeviceUnreachable`, `DeviceRefused`, `HostKeyError`, `DeviceTimeout`, `DeviceDiskFull`, `RunnerError`.
    """

    def open(self, deadline: Deadline) -> None:
        """Connect; do nothing if connected."""

    def close(self) -> None:
        """End every process started here and what those started, then disconnect; safe to call twice.

        The same happens on the device when this host ends without it, or (over a network) is silent for 3 minutes.
        """

    def put(self, source: Path, path: str, deadline: Deadline) -> None:
        """Write a local file's content to `path` on the device, mode 0600, its folder made if missing (0700).

        Raises:
            DeviceDiskFull: no room; nothing stays at `path`.
        """

    def get(self, path: str, deadline: Deadline) -> bytes:
        """Return the content of a file on the device.

        Raises:
            FileNotFoundError: there is no such file.
        """

    def start(self, command: Sequence[str], deadline: Deadline) -> Process:
        """Start a command with its streams attached."""

    def run(self, command: Sequence[str], deadline: Deadline, stdin: bytes = b"") -> Completed:
        """Run a command to its end; kill it when the deadline passes.

        Raises:
            RunnerError: it printed more than 256 MiB on a stream; it was killed.
        """
