"""A command that runs as a child process of hwloop."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO

from hwloop.deadline import Deadline
from hwloop.devices.transports.base import Completed
from hwloop.devices.transports.pipes import Collected, LineBuffer, Tail, TooMuch
from hwloop.errors import DeviceTimeout, RunnerError

BLOCK_BYTES = 1 << 16
SETTLE_S = 1.0
END_S = 5.0


class LocalProcess:
    """A child process in a session of its own, so that the terminal's Ctrl-C does not reach it.

    `sweep` ends what bears its mark, and the process group that it is given. `whole` keeps both streams.
    """

    def __init__(
        self,
        device: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        sweep: Callable[[int | None], None] | None = None,
        *,
        whole: bool = False,
    ) -> None:
        self._device = device
        self._command = command[0]
        self._sweep = sweep
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(
            command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
        )
        assert self._child.stdin and self._child.stdout and self._child.stderr
        os.set_blocking(self._child.stdin.fileno(), False)
        self._writing = threading.Lock()
        self._lines, self._tail = LineBuffer(), Tail()
        self._all = (Collected(), Collected()) if whole else None
        self._too_much: TooMuch | None = None
        sinks = self._all or (self._lines, self._tail)
        self._drains = [
            threading.Thread(target=self._drain, args=pair, daemon=True)
            for pair in zip((self._child.stdout, self._child.stderr), sinks, strict=True)
        ]
        for drain in self._drains:
            drain.start()

    def _drain(self, stream: IO[bytes], sink: LineBuffer | Collected | Tail) -> None:
        try:
            while data := os.read(stream.fileno(), BLOCK_BYTES):
                sink.feed(data)
        except TooMuch as error:
            self._too_much = error
            if self._sweep:
                self._sweep(self.group)
        if sink is self._lines:
            self._lines.end()

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send `data` to its standard input; what nobody reads any more is dropped: the reader will see the end.

        Raises:
            DeviceTimeout: it does not take the data in time.
        """
        view = memoryview(data)
        if not self._writing.acquire(timeout=deadline.remaining_s):
            raise DeviceTimeout(self._device, f"{self._command} does not take its input")
        try:
            assert self._child.stdin
            room = select.poll()
            room.register(self._child.stdin, select.POLLOUT)
            while view:
                if not room.poll(deadline.remaining_s * 1000):
                    raise DeviceTimeout(self._device, f"{self._command} does not take its input")
                view = view[self._child.stdin.write(view) or 0 :]
        except (BrokenPipeError, ValueError):  # it ended, or was killed from another thread
            return
        finally:
            self._writing.release()

    def read_line(self, deadline: Deadline) -> bytes:
        """Return the next line of its standard output."""
        try:
            line = self._lines.read_line(deadline)
        except TooMuch as error:
            self.kill()
            raise RunnerError(self._device, f"{self._command} printed {error}") from error
        if line is None:
            raise DeviceTimeout(self._device, f"{self._command} did not answer in time")
        return line

    def stderr_tail(self) -> str:
        """Return the end of its standard error."""
        return self._tail.text()

    def close_stdin(self) -> None:
        """Send end-of-file."""
        assert self._child.stdin
        with suppress(BrokenPipeError):
            self._child.stdin.close()

    def wait(self, deadline: Deadline) -> int:
        """Wait for its end."""
        try:
            status = self._child.wait(deadline.remaining_s)
        except subprocess.TimeoutExpired as error:
            raise DeviceTimeout(self._device, f"{self._command} did not end in time") from error
        settled = deadline.at_most(SETTLE_S)
        for drain in self._drains:
            drain.join(settled.remaining_s)
        return status

    def wait_whole(self, deadline: Deadline) -> Completed:
        """Wait for the end of both streams, and for its own.

        Raises:
            RunnerError: it printed more than is kept.
        """
        for drain in self._drains:
            drain.join(deadline.remaining_s)
        if self._too_much:
            raise RunnerError(self._device, f"{self._command} printed {self._too_much}")
        if any(drain.is_alive() for drain in self._drains):
            raise DeviceTimeout(self._device, f"{self._command} did not end in time")
        status = self.wait(deadline)
        assert self._all
        return Completed(status, *(stream.value() for stream in self._all))

    @property
    def over(self) -> bool:
        """Whether it ended, and everything that held its streams with it."""
        return self._child.poll() is not None and not any(drain.is_alive() for drain in self._drains)

    @property
    def guarded(self) -> bool:
        """Whether the guard ends it."""
        return self._sweep is not None

    @property
    def group(self) -> int | None:
        """Its process group, while it runs: afterwards the number may be another's."""
        return self._child.pid if self._child.poll() is None else None

    def kill(self) -> None:
        """End it and everything that it started."""
        if self._sweep:
            self._sweep(self.group)
        self.end()

    def end(self) -> None:
        """End its process group and close its streams."""
        if self.group:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(END_S)
        self._lines.end()
        for drain in self._drains:
            drain.join(END_S)
        self.close_stdin()
        for stream, drain in zip((self._child.stdout, self._child.stderr), self._drains, strict=True):
            assert stream
            if not drain.is_alive():
                stream.close()
