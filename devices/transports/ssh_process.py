"""A command on an SSH channel."""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import paramiko

from hwloop.deadline import Deadline
from hwloop.devices.transports.guard import MARK, marked
from hwloop.devices.transports.pipes import Collected, LineBuffer, Tail, TooMuch
from hwloop.devices.transports.ssh_connection import NO_STATUS
from hwloop.devices.transports.ssh_errors import TRY_AGAIN
from hwloop.errors import DeviceTimeout, DeviceUnreachable, RunnerError

if TYPE_CHECKING:
    from hwloop.devices.transports.ssh import SshTransport

BLOCK_BYTES = 1 << 20
KILL_S = 3.0
SETTLE_S = 1.0
NOISE_BYTES = 1 << 16
# Tells the process group, which `kill` ends, and takes on the mark before the command takes the shell's place. OpenSSH
# starts each command as the leader of a group; other servers may not.
GROUP = re.compile(rb"^hwloop-group:(\d+)$", re.MULTILINE)
LEAD = f'[ -z "$1" ] || export {MARK}="$1"; shift; echo "hwloop-group:$$"; exec "$@"'
START = f'kill -s 0 -- "-$$" 2>/dev/null || exec setsid sh -c \'{LEAD}\' sh "$@"; {LEAD}'


class SshProcess:
    """A command that runs on a channel of its own, with a thread for each of its streams.

    The guard ends what bears `mark`; without one, it must end with its standard input by itself. `whole` keeps both
    streams, for `run`; otherwise standard output is read by lines and of standard error the end is kept.
    """

    def __init__(
        self,
        transport: SshTransport,
        channel: paramiko.Channel,
        command: Sequence[str],
        mark: str,
        *,
        whole: bool = False,
    ) -> None:
        self._transport = transport
        self._channel = channel
        self._channel.exit_status = NO_STATUS
        self.name = command[0]
        self.mark = mark
        self.all_stdout = Collected() if whole else None
        self.all_stderr = Collected() if whole else None
        self._lines, self._tail = LineBuffer(), Tail()
        self._group: int | None = None
        self._killed = False
        self._noise = b""
        self._started = threading.Event()
        self._writing = threading.Lock()
        self._too_much: TooMuch | None = None
        line = f"exec {shlex.join(['sh', '-c', START, 'sh', mark, *marked(command, mark)])}"
        self._threads = [
            threading.Thread(target=self._serve, args=(line,), daemon=True),
            threading.Thread(
                target=self._drain, args=(channel.recv_stderr, self.all_stderr or self._tail), daemon=True
            ),
        ]
        for thread in self._threads:
            thread.start()

    def _serve(self, line: str) -> None:
        """Start the command and drain its standard output; here, for paramiko waits for a start without a limit."""
        try:
            self._channel.exec_command(line)
            self._drain(self._channel.recv, self)
        except (paramiko.SSHException, OSError, EOFError) as error:
            self._noise = self._noise or str(error).encode()
        finally:
            self._started.set()
            self._lines.end()

    def _drain(self, receive: Callable[[int], bytes], sink: SshProcess | Collected | LineBuffer | Tail) -> None:
        while True:
            try:
                data = receive(BLOCK_BYTES)
            except TimeoutError:
                # A writer's time-out; paramiko has one for both directions.
                continue
            if not data:
                return
            try:
                sink.feed(data)
            except TooMuch as error:
                self._too_much = error
                with suppress(paramiko.SSHException, OSError, EOFError):
                    self._channel.close()
                return

    def feed(self, data: bytes) -> None:
        """Take standard output in; what a login script prints before the command starts is left out."""
        if self._group is None:
            self._noise += data
            found = GROUP.search(self._noise)
            if not found or self._noise[found.end() : found.end() + 1] != b"\n":
                self._noise = self._noise[-NOISE_BYTES:]
                return
            data = self._noise[found.end() + 1 :]
            self._group = int(found[1])
            self._started.set()
        if data:
            (self.all_stdout or self._lines).feed(data)

    def await_start(self, deadline: Deadline) -> None:
        """Return once the command runs.

        Raises:
            DeviceTimeout: it does not in time.
            DeviceUnreachable: the device's shell does not start commands.
        """
        if not self._started.wait(deadline.remaining_s):
            self.close()
            raise DeviceTimeout(self._transport.device, f"starting {self.name}: no answer in time", remedy=TRY_AGAIN)
        if self._group is None:
            self._transport.require_connection()
            words = (self.stderr_tail() or self._noise.decode(errors="replace")).strip()
            raise DeviceUnreachable(
                self._transport.device,
                f"its shell did not start {self.name}: {words[-200:] or 'it said nothing'}",
                remedy="Check that `ssh` to it runs commands, as in `ssh HOST true`.",
            )

    def send(self, data: bytes, deadline: Deadline) -> bool:
        """Send `data` to its standard input; False says that nobody reads it any more."""
        view = memoryview(data)
        doing = f"sending to {self.name}"
        with self._transport.watched(doing, deadline):
            if not self._writing.acquire(timeout=deadline.remaining_s):
                raise TimeoutError
            try:
                while view and not self._channel.exit_status_ready() and not self._channel.eof_sent:
                    if deadline.expired:  # a peer that takes everything at once would never let it time out
                        raise TimeoutError
                    self._channel.settimeout(max(deadline.remaining_s, 0.001))
                    view = view[self._channel.send(view[:BLOCK_BYTES]) :]  # type: ignore[arg-type]
            except OSError:
                if not self._channel.closed:
                    raise
            finally:
                self._channel.settimeout(None)
                self._writing.release()
        return not view

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send `data` to its standard input.

        Raises:
            DeviceUnreachable: it has ended, or the connection was lost.
            DeviceTimeout: it does not take the data in time.
        """
        if not self.send(data, deadline):
            self._transport.require_connection()
            raise DeviceUnreachable(self._transport.device, f"{self.name} ended: {self.stderr_tail()}".rstrip(": "))

    def poll_line(self) -> bytes | None:
        """Return the next line of its standard output if it is there already.

        Raises:
            EOFError: its standard output ended.
        """
        return self._lines.read_line(Deadline.after(0))

    def read_line(self, deadline: Deadline) -> bytes:
        """Return the next line of its standard output."""
        try:
            line = self._lines.read_line(deadline)
        except TooMuch as error:
            self.kill()
            raise RunnerError(self._transport.device, f"{self.name} printed {error}") from error
        except EOFError:
            self._transport.require_connection()
            raise
        if line is None:
            raise DeviceTimeout(self._transport.device, f"{self.name} did not answer in time")
        return line

    def stderr_tail(self) -> str:
        """Return the end of its standard error."""
        return self.all_stderr.value().decode(errors="replace") if self.all_stderr else self._tail.text()

    def close_stdin(self) -> None:
        """Send end-of-file."""
        with self._transport.watched(f"sending to {self.name}", Deadline.after(KILL_S)):
            self._channel.shutdown_write()

    def wait(self, deadline: Deadline) -> int:
        """Wait for its end; -128 stands for a signal that the server has no name for."""
        if not self._channel.status_event.wait(deadline.remaining_s):
            raise DeviceTimeout(self._transport.device, f"{self.name} did not end in time")
        status = self._channel.exit_status
        if status == NO_STATUS:
            self._transport.require_connection()
            raise DeviceUnreachable(self._transport.device, f"{self.name} ended without a status")
        settled = deadline.at_most(SETTLE_S)
        for thread in self._threads:
            thread.join(settled.remaining_s)
        return status

    def wait_whole(self, deadline: Deadline) -> int:
        """Wait for the end of both streams, and for its own."""
        for thread in self._threads:
            thread.join(deadline.remaining_s)
        if self._too_much:
            raise RunnerError(self._transport.device, f"{self.name} printed {self._too_much}")
        if any(thread.is_alive() for thread in self._threads):
            raise DeviceTimeout(self._transport.device, f"{self.name} did not end in time")
        return self.wait(deadline)

    @property
    def over(self) -> bool:
        """Whether it ended, and everything that held its streams with it."""
        return self._channel.status_event.is_set() and not any(thread.is_alive() for thread in self._threads)

    @property
    def group(self) -> int | None:
        """Its process group on the device, while there may be somebody in it."""
        return None if self.over else self._group

    def kill(self) -> None:
        """End it and everything that it started, then the channel."""
        if self.mark and not self._killed:
            self._killed = self._transport.end(self)
            if self._transport.connected and not self._channel.closed:
                self._channel.status_event.wait(KILL_S)
        self.close()

    def close(self) -> None:
        """Give the channel back."""
        self._lines.end()
        with suppress(paramiko.SSHException, OSError, EOFError):  # the connection is gone already
            self._channel.close()
        if self._transport.connected:
            for thread in self._threads:
                thread.join(KILL_S)
