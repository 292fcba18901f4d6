"""Whatever ends the host or the connection, nothing that was started stays on the device."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.transports.guard import MARK, SCRIPT
from hwloop.devices.transports.local import LocalTransport
from hwloop.devices.transports.ssh import Hop, SshTransport
from hwloop.devices.trust import PinnedKeys
from hwloop.testing.sshd import Sshd, running_sshd
from hwloop.testing.waiting import alive, bearers, until

# Neither reads its input nor stays in its session.
STUBBORN = 'setsid sh -c \'trap "" HUP TERM; echo $$ >> "$0"; sleep 1000\' "$0" & echo $$ >> "$0"; sleep 1000'
HOST = """
import sys, time
from pathlib import Path
from hwloop.deadline import Deadline
from hwloop.devices.transports.local import LocalTransport
from hwloop.devices.transports.ssh import Hop, SshTransport
from hwloop.devices.trust import PinnedKeys
kind, pids, script, host, port, user, key_file, host_key, source, target = sys.argv[1:]
hop = Hop("box", host, int(port), user, (Path(key_file),), use_agent=False)
pinned = PinnedKeys(given={"box": host_key})
transport = LocalTransport("box") if kind == "local" else SshTransport("box", [hop], pinned)
transport.open(Deadline.after(30))
transport.start(["sh", "-c", script, pids], Deadline.after(30))
print("up", flush=True)
while source:
    transport.put(Path(source), target, Deadline.after(30))
time.sleep(1000)
"""


def soon() -> Deadline:
    return Deadline.after(30)


@pytest.fixture(scope="module")
def sshd():
    with running_sshd() as server:
        yield server


@pytest.fixture
def pids(tmp_path):
    """A file of process numbers, of which none may be there at the end."""
    path = tmp_path / "pids"
    yield path
    numbers = [int(word) for word in path.read_text().split()]
    try:
        assert numbers
        assert until(lambda: not any(alive(pid) for pid in numbers)), numbers
    finally:
        for pid in filter(alive, numbers):
            os.kill(pid, signal.SIGKILL)


def started(transport: SshTransport | LocalTransport, pids: Path) -> None:
    """Start something stubborn and wait until it is all there."""
    transport.start(["sh", "-c", STUBBORN, str(pids)], soon())
    assert until(lambda: pids.exists() and len(pids.read_text().split()) == 2)


def to(server: Sshd) -> SshTransport:
    hop = Hop("box", server.host, server.port, server.user, (server.key_file,), use_agent=False)
    return SshTransport("box", [hop], PinnedKeys(given={"box": server.host_key}))


@pytest.mark.parametrize("kind", ["local", "ssh"])
def test_a_host_that_is_killed(sshd, pids, tmp_path, fault, kind):
    pushing = tmp_path / "pushing"
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1 << 20))
    words = [kind, pids, STUBBORN, sshd.host, sshd.port, sshd.user, sshd.key_file, sshd.host_key]
    words += [source if kind == "ssh" else "", pushing / "file"]
    with fault("host killed"):
        command = [sys.executable, "-c", HOST, *map(str, words)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as host:
            assert host.stdout and host.stdout.readline() == b"up\n"
            assert until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
            host.kill()
        assert until(lambda: not [path for path in pushing.glob("*") if path.name != "file"])


def test_a_connection_that_is_cut(sshd, pids, fault):
    transport = to(sshd)
    transport.open(soon())
    started(transport, pids)
    with fault("connection cut"):
        sshd.hang_up()
    transport.close()


@pytest.mark.parametrize("kind", ["local", "ssh"])
def test_a_guard_that_is_killed_is_replaced(sshd, pids, fault, kind):
    transport = LocalTransport("box") if kind == "local" else to(sshd)
    transport.open(soon())
    started(transport, pids)
    session = transport._guard.session
    guard = [pid for pid in bearers(session) if not mark_of(pid)]
    assert guard
    with fault("guard killed"):
        for pid in guard:
            os.kill(pid, signal.SIGKILL)
        transport.close()
    assert until(lambda: not bearers(session))


def mark_of(pid: int) -> bool:
    return MARK.encode() in Path(f"/proc/{pid}/environ").read_bytes()


def test_nothing_of_ours_stays_after_closing(sshd, fault):
    """Not even the guard and its helpers."""
    for _ in range(5):
        transport = to(sshd)
        transport.open(soon())
        session = transport._guard.session
        transport.run(["true"], soon())
        transport.close()
        assert until(lambda session=session: not bearers(session))


@pytest.mark.parametrize("shell", [path for name in ("dash", "bash", "busybox") if (path := shutil.which(name))])
class TestTheGuardInEveryShell:
    SESSION = "0123456789abcdef"

    def guarded(self, shell, patience_s):
        """Start a guard below a shell that stands for the SSH server's process, and something for it to watch."""
        watched = subprocess.Popen(
            ["sleep", "1000"], env={**os.environ, MARK: f"{self.SESSION}-00000001"}, start_new_session=True
        )
        words = [shell, *(["sh"] if shell.endswith("busybox") else []), "-c", SCRIPT, "sh", self.SESSION]
        server = ["sh", "-c", '"$@"; :', "sh", *words, str(patience_s)]
        guard = subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        return guard, watched

    def ended(self, guard, watched):
        assert watched.wait(30) == -signal.SIGKILL
        guard.stdin.close()
        guard.wait(30)
        guard.stdout.close()
        assert until(lambda: not bearers(self.SESSION)), bearers(self.SESSION)

    def test_it_ends_what_it_is_told_to(self, shell):
        guard, watched = self.guarded(shell, 60)
        guard.stdin.write(f"{self.SESSION}-00000001\n".encode())
        guard.stdin.flush()
        assert guard.stdout.readline() == f"done {self.SESSION}-00000001\n".encode()
        self.ended(guard, watched)

    def test_a_session_that_is_closed(self, shell):
        guard, watched = self.guarded(shell, 60)
        guard.stdin.write(f"\n{self.SESSION} {watched.pid}\n".encode())
        guard.stdin.flush()
        assert guard.stdout.readline() == f"done {self.SESSION}\n".encode()
        self.ended(guard, watched)

    def test_a_host_that_is_gone(self, shell):
        guard, watched = self.guarded(shell, 60)
        guard.stdin.close()
        self.ended(guard, watched)

    def test_a_host_that_is_silent(self, shell, fault):
        guard, watched = self.guarded(shell, 1)
        with fault("silent host"):
            assert watched.wait(30) == -signal.SIGKILL
            assert guard.wait(30) != 0
        guard.stdin.close()
        guard.stdout.close()
        assert until(lambda: not bearers(self.SESSION)), bearers(self.SESSION)

    @pytest.mark.chaos
    def test_a_host_that_speaks_now_and_then(self, shell):
        guard, watched = self.guarded(shell, 1)
        for _ in range(8):
            guard.stdin.write(b"\n")
            guard.stdin.flush()
            with pytest.raises(subprocess.TimeoutExpired):
                watched.wait(0.2)
        self.ended(guard, watched)
