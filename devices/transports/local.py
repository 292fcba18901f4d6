"""The transport to the machine that hwloop runs on."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from hwloop.deadline import Deadline
from hwloop.devices.transports.base import Completed
from hwloop.devices.transports.pipes import LineBuffer, Tail
from hwloop.errors import DeviceDiskFull, DeviceTimeout, DeviceUnreachable


class LocalProcess:
    """A child process in a session of its own, so that the terminal's Ctrl-C does not reach it."""

    def __init__(self, device: str, command: Sequence[str]) -> None:
        self._device = device
        self._command = command[0]
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        self._stdout, self._stderr = LineBuffer(), Tail()
        assert self._child.stdout and self._child.stderr
        self._drains = [
            threading.Thread(target=self._drain, args=(self._child.stdout, self._stdout), daemon=True),
            threading.Thread(target=self._drain, args=(self._child.stderr, self._stderr), daemon=True),
        ]
        for drain in self._drains:
            drain.start()

    @staticmethod
    def _drain(stream: IO[bytes], sink: LineBuffer | Tail) -> None:
        while data := os.read(stream.fileno(), 1 << 16):
            sink.feed(data)
        if isinstance(sink, LineBuffer):
            sink.end()

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send `data` to its standard input."""
        assert self._child.stdin
        try:
            self._child.stdin.write(data)
            self._child.stdin.flush()
        except (BrokenPipeError, ValueError):  # it ended, or was killed from another thread: the reader will see
            return

    def read_line(self, deadline: Deadline) -> bytes:
        """Return the next line of its standard output."""
        line = self._stdout.read_line(deadline)
        if line is None:
            raise DeviceTimeout(self._device, f"{self._command} did not answer in time")
        return line

    def stderr_tail(self) -> str:
        """Return the end of its standard error."""
        return self._stderr.text()

    def close_stdin(self) -> None:
        """Send end-of-file."""
        assert self._child.stdin
        try:
            self._child.stdin.close()
        except BrokenPipeError:
            return

    def wait(self, deadline: Deadline) -> int:
        """Wait for its end."""
        try:
            status = self._child.wait(deadline.remaining_s)
        except subprocess.TimeoutExpired as error:
            raise DeviceTimeout(self._device, f"{self._command} did not end in time") from error
        for drain in self._drains:
            drain.join(deadline.remaining_s)
        return status

    def kill(self) -> None:
        """End its whole process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        for drain in self._drains:
            drain.join(5)
        self.close_stdin()
        for stream in (self._child.stdout, self._child.stderr):
            assert stream
            stream.close()


class LocalTransport:
    """Runs commands as child processes and copies files."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._processes: list[LocalProcess] = []
        self._lock = threading.Lock()

    def open(self, deadline: Deadline) -> None:
        """There is nothing to connect to."""

    def close(self) -> None:
        """End every process started here."""
        with self._lock:
            processes, self._processes = self._processes, []
        for process in processes:
            process.kill()

    def put(self, source: Path, path: str, deadline: Deadline) -> None:
        """Copy a file, at once or not at all."""
        target = Path(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        arriving, name = tempfile.mkstemp(dir=target.parent)
        os.close(arriving)
        try:
            shutil.copyfile(source, name)
            Path(name).replace(target)
        except OSError as error:
            Path(name).unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DeviceDiskFull(
                    self._device,
                    f"no room for {source.name} in {target.parent}",
                    remedy="Free some space, or set `cache_dir` in devices.yaml to a roomier disk.",
                ) from error
            raise DeviceUnreachable(self._device, f"cannot write {path}: {error.strerror}") from error

    def get(self, path: str, deadline: Deadline) -> bytes:
        """Read a file."""
        return Path(path).read_bytes()

    def start(self, command: Sequence[str], deadline: Deadline) -> LocalProcess:
        """Start a child process."""
        try:
            process = LocalProcess(self._device, command)
        except OSError as error:
            raise DeviceUnreachable(self._device, f"cannot start {command[0]}: {error.strerror}") from error
        with self._lock:
            self._processes.append(process)
        return process

    def run(self, command: Sequence[str], deadline: Deadline, stdin: bytes = b"") -> Completed:
        """Run a child process to its end."""
        pipe = subprocess.PIPE
        try:
            child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        except OSError as error:
            raise DeviceUnreachable(self._device, f"cannot start {command[0]}: {error.strerror}") from error
        with child:
            try:
                stdout, stderr = child.communicate(stdin, timeout=deadline.remaining_s)
            except subprocess.TimeoutExpired as error:
                os.killpg(child.pid, signal.SIGKILL)
                raise DeviceTimeout(self._device, f"{command[0]} did not end in time") from error
        return Completed(child.returncode, stdout, stderr)
