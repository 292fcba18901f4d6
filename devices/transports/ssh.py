"""The transport over SSH: one connection, many channels, every wait with a deadline."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import paramiko

from hwloop.deadline import Deadline
from hwloop.devices.transports.base import Completed
from hwloop.devices.transports.guard import Guard
from hwloop.devices.transports.ssh_config import Hop
from hwloop.devices.transports.ssh_connect import dial, hang_up, shake_hands
from hwloop.devices.transports.ssh_connection import Connection
from hwloop.devices.transports.ssh_errors import TRY_AGAIN, translated
from hwloop.devices.transports.ssh_login import log_in
from hwloop.devices.transports.ssh_process import BLOCK_BYTES, KILL_S, SshProcess
from hwloop.devices.transports.ssh_pulse import Pulse
from hwloop.devices.transports.watchdog import Watchdog
from hwloop.devices.trust import PinnedKeys
from hwloop.errors import DeviceDiskFull, DeviceError, DeviceUnreachable

__all__ = ["Hop", "SshTransport", "fetch_host_key"]

NO_SUCH_FILE = 44
# When a host has been silent for so long, what it started on the device ends. A laptop that slept longer starts again.
GONE_S = 180
# A connection that breaks looks like the end of the file, so only the right size moves it into place. After a failure
# the rest is swallowed: a reader that hangs up early would make paramiko send into a channel that is gone.
PUT = (
    'umask 077; LC_ALL=C; export LC_ALL; part="$1.part.$$"; '
    'mkdir -p "${1%/*}/" && cat > "$part" && [ "$(($(wc -c < "$part")))" -eq "$2" ] && mv -f "$part" "$1" && exit 0; '
    'rm -f "$part"; echo failed; cat > /dev/null; exit 1'
)
GET = f'[ -e "$1" ] || exit {NO_SUCH_FILE}; exec cat "$1"'


class SshTransport:
    """Runs commands on a device over SSH, through any number of jump hosts.

    `hops` lead from here to the device, which is the last of them.
    """

    def __init__(self, device: str, hops: Sequence[Hop], pinned: PinnedKeys) -> None:
        self.device = device
        self._hops = tuple(hops)
        self._pinned = pinned
        self._chain: list[Connection] = []
        self._processes: list[SshProcess] = []
        self._lock = threading.Lock()
        self._watchdog = Watchdog(self._cut)
        self._guard = Guard(device, self._start_guard, GONE_S)
        self._pulse: Pulse | None = None

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return bool(self._chain) and self._chain[-1].is_active()

    def require_connection(self) -> None:
        """Raise DeviceUnreachable if the connection was lost."""
        if not self.connected:
            raise DeviceUnreachable(self.device, "the connection was lost", remedy=TRY_AGAIN)

    def _cut(self) -> None:
        hang_up(self._chain, patience_s=0)

    @contextmanager
    def watched(self, doing: str, deadline: Deadline, *, connecting: bool = False) -> Iterator[None]:
        """Translate errors of the block, and cut the connection if it does not end by the deadline."""
        with (
            translated(self.device, doing, deadline, connecting=connecting),
            self._watchdog.watching(deadline),
        ):
            yield

    def open(self, deadline: Deadline) -> None:
        """Connect through every hop, checking each host key before logging in, and post the guard."""
        with self._lock:
            if self.connected:
                return
            self._hang_up()
            self._guard = Guard(self.device, self._start_guard, GONE_S)
        try:
            self.connect(deadline)
            self._guard.stand(deadline)
        except BaseException:
            with self._lock:
                self._hang_up()
            raise

    def connect(self, deadline: Deadline) -> None:
        """Connect through every hop, and no more."""
        with self._lock:
            for hop in self._hops:
                with self.watched(f"connecting to {hop.address}", deadline, connecting=True):
                    connection = shake_hands(self.road_to(hop, deadline), deadline, self._pinned.key_types(hop.name))
                    self._chain.append(connection)
                    self._pinned.check(self.device, hop.name, connection.get_remote_server_key())
                    log_in(hop, connection, deadline)
            self._pulse = Pulse(tuple(self._chain), self._watchdog, self._cut, self._guard)

    def _hang_up(self) -> None:
        if self._pulse:
            self._pulse.stop()
            self._pulse = None
        hang_up(self._chain)
        self._chain = []
        self._watchdog.rest()

    def road_to(self, hop: Hop, deadline: Deadline) -> socket.socket | paramiko.Channel:
        """Return a connection to a server, through the hop before it."""
        if not self._chain:
            return dial(hop.host, hop.port, deadline)
        there, here = (hop.host, hop.port), ("127.0.0.1", 0)
        return self._chain[-1].open_channel("direct-tcpip", there, here, timeout=deadline.remaining_s)

    def close(self) -> None:
        """End every process started here, then the connections."""
        with self._lock:
            processes, self._processes = self._processes, []
        if self.connected:
            groups = [process.group for process in processes if process.mark and process.group]
            with suppress(DeviceError):
                self._guard.sweep(Deadline.after(KILL_S), groups=groups)
        for process in processes:
            process.close()
        with self._lock:
            self._hang_up()

    def put(self, source: Path, path: str, deadline: Deadline) -> None:
        """Stream a file into place: it is there whole, or not at all."""
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            process = self._start(["sh", "-c", PUT, "sh", path, str(size)], deadline, "")
            try:
                self._stream(file, size, process, deadline)
                process.close_stdin()
                status = process.wait(deadline)
            finally:
                # Not killed: at the end of its input the script removes what is unfinished.
                process.close()
        if status == 0:
            return
        words = process.stderr_tail().strip()
        if "No space left" in words or "quota exceeded" in words:
            raise DeviceDiskFull(
                self.device,
                f"no room for {source.name} ({size / 1e6:.1f} MB) at {path}",
                remedy="Free some space there, or set `cache_dir` in devices.yaml to a roomier disk.",
            )
        raise DeviceUnreachable(self.device, f"cannot write {path}: {words or 'it did not arrive whole'}")

    def _stream(self, file: IO[bytes], size: int, process: SshProcess, deadline: Deadline) -> None:
        while size > 0 and (block := file.read(min(size, BLOCK_BYTES))):
            size -= len(block)
            try:
                failed = process.poll_line() is not None
            except EOFError:
                failed = True
            if failed or not process.send(block, deadline):
                return

    def get(self, path: str, deadline: Deadline) -> bytes:
        """Read a file."""
        read = self.run(["sh", "-c", GET, "sh", path], deadline)
        if read.status == NO_SUCH_FILE:
            raise FileNotFoundError(f"{self.device}:{path}")
        if read.status != 0:
            words = read.stderr.decode(errors="replace").strip()
            raise DeviceUnreachable(self.device, f"cannot read {path}: {words}")
        return read.stdout

    def start(self, command: Sequence[str], deadline: Deadline) -> SshProcess:
        """Start a command on a channel of its own."""
        return self._start(command, deadline, self._guard.new_mark())

    def _start_guard(self, command: Sequence[str], deadline: Deadline) -> SshProcess:
        return self._start(command, deadline, "")

    def _start(self, command: Sequence[str], deadline: Deadline, mark: str, *, whole: bool = False) -> SshProcess:
        self.require_connection()
        with self.watched(f"starting {command[0]}", deadline):
            channel = self._chain[-1].open_session(timeout=deadline.remaining_s)
        process = SshProcess(self, channel, command, mark, whole=whole)
        with self._lock:
            self._processes = [known for known in self._processes if not known.over]
            self._processes.append(process)
        process.await_start(deadline)
        return process

    def run(self, command: Sequence[str], deadline: Deadline, stdin: bytes = b"") -> Completed:
        """Run a command to its end, and to the end of everything that holds its streams."""
        process = self._start(command, deadline, self._guard.new_mark(), whole=True)
        try:
            process.send(stdin, deadline)
            process.close_stdin()
            status = process.wait_whole(deadline)
        except BaseException:
            process.kill()
            raise
        process.close()
        assert process.all_stdout and process.all_stderr
        return Completed(status, process.all_stdout.value(), process.all_stderr.value())

    def end(self, process: SshProcess) -> bool:
        """End a process and all that it started; False says that the device cannot be told."""
        if not self.connected:
            return False
        try:
            self._guard.sweep(Deadline.after(KILL_S), process.mark, [process.group] if process.group else [])
        except DeviceError:
            return False
        return True


def fetch_host_key(device: str, hops: Sequence[Hop], pinned: PinnedKeys, deadline: Deadline) -> paramiko.PKey:
    """Return the key that the last of `hops` shows, without logging in there; those before it must be pinned.

    Raises:
        DeviceError: there is no SSH server, or a hop before it refuses.
    """
    *before, last = hops
    transport = SshTransport(device, before, pinned)
    try:
        transport.connect(deadline)
        with transport.watched(f"connecting to {last.address}", deadline, connecting=True):
            connection = shake_hands(transport.road_to(last, deadline), deadline, pinned.key_types(last.name))
            key = connection.get_remote_server_key()
            hang_up([connection])
            return key
    finally:
        transport.close()
