"""The transport to the machine that hwloop runs on."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.devices.transports.base import Completed
from hwloop.devices.transports.guard import Guard, environment_of, marked
from hwloop.devices.transports.local_process import LocalProcess
from hwloop.errors import DeviceDiskFull, DeviceError, DeviceUnreachable

KILL_S = 5.0


class LocalTransport:
    """Runs commands as child processes and copies files."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._processes: list[LocalProcess] = []
        self._lock = threading.Lock()
        self._guard = self._new_guard()

    def _new_guard(self) -> Guard:
        return Guard(self._device, lambda command, _: self._spawn(command, ""))

    def open(self, deadline: Deadline) -> None:
        """There is nothing to connect to."""

    def close(self) -> None:
        """End every process started here, and what they started."""
        with self._lock:
            guard, self._guard = self._guard, self._new_guard()
            groups = [process.group for process in self._processes if process.guarded and process.group]
        with suppress(DeviceError):
            guard.sweep(Deadline.after(KILL_S), groups=groups)
        with self._lock:
            processes, self._processes = self._processes, []
        for process in processes:
            process.end()

    def put(self, source: Path, path: str, deadline: Deadline) -> None:
        """Copy a file, at once or not at all."""
        target = Path(path)
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            arriving, name = tempfile.mkstemp(prefix=f"{target.name}.part.", dir=target.parent)
            os.close(arriving)
            try:
                shutil.copyfile(source, name)
                Path(name).replace(target)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DeviceDiskFull(
                    self._device,
                    f"no room for {source.name} in {target.parent}",
                    remedy="Free some space, or set `cache_dir` in devices.yaml to a roomier disk.",
                ) from error
            raise DeviceUnreachable(
                self._device, f"cannot write {path}: {error.strerror}", remedy="Check the rights of that folder."
            ) from error

    def get(self, path: str, deadline: Deadline) -> bytes:
        """Read a file."""
        try:
            return Path(path).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise DeviceUnreachable(
                self._device, f"cannot read {path}: {error.strerror}", remedy="Check the rights of that file."
            ) from error

    def start(self, command: Sequence[str], deadline: Deadline) -> LocalProcess:
        """Start a child process."""
        return self._start(command, deadline, whole=False)

    def _start(self, command: Sequence[str], deadline: Deadline, *, whole: bool) -> LocalProcess:
        self._guard.stand(deadline)
        return self._spawn(command, self._guard.new_mark(), whole=whole)

    def _spawn(self, command: Sequence[str], mark: str, *, whole: bool = False) -> LocalProcess:
        environment = {**os.environ, **environment_of(mark)} if mark else None
        end = (lambda group: self._end(mark, group)) if mark else None
        try:
            process = LocalProcess(self._device, marked(command, mark), environment, end, whole=whole)
        except (OSError, ValueError) as error:
            raise DeviceUnreachable(
                self._device, f"cannot start {command[0]}: {error}", remedy="Check that it is installed."
            ) from error
        with self._lock:
            ended = [known for known in self._processes if known.over]
            self._processes = [known for known in self._processes if known not in ended] + [process]
        for known in ended:
            known.end()
        return process

    def _end(self, mark: str, group: int | None) -> None:
        with suppress(DeviceError):
            self._guard.sweep(Deadline.after(KILL_S), mark, [group] if group else [])

    def run(self, command: Sequence[str], deadline: Deadline, stdin: bytes = b"") -> Completed:
        """Run a child process to its end, and to the end of everything that holds its streams."""
        process = self._start(command, deadline, whole=True)
        try:
            process.write(stdin, deadline)
            process.close_stdin()
            return process.wait_whole(deadline)
        except BaseException:
            process.kill()
            raise
        finally:
            process.end()
