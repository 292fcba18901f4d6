"""The lease of a device: one holder at a time, seen by all, free as soon as its holder is gone."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.folders import Blob, Folder
from hwloop.devices.lease import Holder, Owner
from hwloop.devices.session import DeviceSession, SessionOptions
from hwloop.devices.transports.local import LocalTransport
from hwloop.devices.transports.ssh import Hop, SshTransport
from hwloop.devices.trust import PinnedKeys
from hwloop.digests import digest_file
from hwloop.errors import DeviceBusy, DeviceError
from hwloop.testing.sshd import running_sshd

LIMIT_S = 60
ANNA, BEN = Owner("anna", "desk", 1, "measure"), Owner("ben", "laptop", 2, "compare")


def quiet(holder):
    pass


class Board:
    """One device, as several hosts see it: its own name keeps these leases from those of the machine."""

    def __init__(self, folder, identity):
        self.folder = folder
        self.identity = identity
        self.expires_s = 60.0
        self.sessions = []

    def session(self, name, transport=None):
        """Another host's session; each has a cache of its own, as another user would."""
        python = self.folder / f"python-{name}"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "$BOOT" "$@"\n'.replace("$BOOT", self.boot()))
        python.chmod(0o700)
        options = SessionOptions(str(python), str(self.folder / f"cache-{name}"))
        session = DeviceSession(name, transport or LocalTransport(name), options)
        self.sessions.append(session)
        session.open(Deadline.after(LIMIT_S))
        return session

    def boot(self):
        """Python code that runs the runner with this board's identity."""
        return (
            "import sys; sys.argv = sys.argv[3:]; sys.path.insert(0, sys.argv[0]); "
            f"import runner.facts as facts; facts.identity = lambda: {self.identity!r}; "
            f"import runner.lease as lease; lease.EXPIRES_S = {self.expires_s}; "
            "from runner.main import main; main(sys.argv[1:])"
        ).replace('"', '\\"')

    def agents(self):
        """Process numbers of the agents of this board."""
        return self.runners("agent")

    def runners(self, role=""):
        """Process numbers of the runners of this board."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes()
                running = path.with_name("stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
            except OSError:
                continue
            ours = words.startswith(sys.executable.encode()) and f"{self.folder}/cache-".encode() in words
            if running and ours and (not role or f"\0{role}\0".encode() in words):
                found.append(int(path.parent.name))
        return sorted(found)


@pytest.fixture
def board(tmp_path):
    board = Board(tmp_path, os.urandom(8).hex())
    yield board
    for session in board.sessions:
        session.close()


def test_a_lease_is_seen_by_others_with_its_owner(board):
    anna, ben = board.session("anna"), board.session("ben")
    assert ben.holder() is None
    anna.lease(ANNA, Deadline.after(1), wait=False, told=quiet)
    assert anna.leased and not ben.leased
    assert ben.holder().owner == ANNA
    with pytest.raises(DeviceBusy, match=r"anna@desk.*measure"):
        ben.lease(BEN, Deadline.after(LIMIT_S), wait=False, told=quiet)


def test_it_is_free_when_its_session_closes(board):
    anna, ben = board.session("anna"), board.session("ben")
    anna.lease(ANNA, Deadline.after(1), wait=False, told=quiet)
    anna.close()
    ben.lease(BEN, Deadline.after(LIMIT_S), wait=True, told=quiet)
    assert ben.leased


def test_it_is_free_when_its_holder_is_killed(board):
    anna = board.session("anna")
    anna.lease(ANNA, Deadline.after(1), wait=False, told=quiet)
    for pid in board.agents():
        os.kill(pid, signal.SIGKILL)
    ben = board.session("ben")
    ben.lease(BEN, Deadline.after(LIMIT_S), wait=True, told=quiet)
    with pytest.raises(DeviceError):
        anna.holder()


def test_those_who_wait_get_it_in_their_order(board):
    order, threads = [], []
    first = board.session("first")
    first.lease(ANNA, Deadline.after(1), wait=False, told=quiet)

    def want(name):
        session = board.session(name)
        session.lease(BEN, Deadline.after(LIMIT_S), wait=True, told=lambda holder: None)
        order.append(name)
        session.close()

    for name in ("second", "third", "fourth"):
        threads.append(threading.Thread(target=want, args=(name,)))
        threads[-1].start()
        time.sleep(1.5)
    first.close()
    for thread in threads:
        thread.join(LIMIT_S)
    assert order == ["second", "third", "fourth"]


def test_who_waits_is_told_who_holds_it_and_gives_up_at_the_deadline(board):
    anna, ben = board.session("anna"), board.session("ben")
    anna.lease(ANNA, Deadline.after(1), wait=False, told=quiet)
    told = []
    with pytest.raises(DeviceBusy):
        ben.lease(BEN, Deadline.after(0.3), wait=True, told=told.append)
    assert told[0].owner == ANNA and told[0].place == 1


def test_a_lease_that_is_taken_away_ends_what_runs_there(board):
    anna, ben = board.session("anna"), board.session("ben")
    anna.lease(ANNA, Deadline.after(1), wait=False, told=quiet)
    ben.revoke()
    ben.lease(BEN, Deadline.after(LIMIT_S), wait=True, told=quiet)
    with pytest.raises(DeviceError, match="taken away"):
        anna.holder()


def test_leftovers_of_dead_sessions_go_when_a_lease_is_taken(board):
    anna = board.session("anna")
    cache = board.folder / "cache-anna"
    (cache / "incoming" / ("0" * 64 + ".dead")).write_bytes(b"half")
    (cache / "runner-x.pyz.part.77").write_bytes(b"half")
    os.utime(cache / "runner-x.pyz.part.77", (0, 0))
    anna.lease(ANNA, Deadline.after(1), wait=False, told=quiet)
    assert list((cache / "incoming").iterdir()) == []
    assert not list(cache.glob("*.part.*"))


def test_a_client_that_says_nothing_or_nonsense_disturbs_nobody(board):
    import socket

    anna, ben = board.session("anna"), board.session("ben")
    anna.lease(ANNA, Deadline.after(1), wait=False, told=quiet)
    rude = [socket.socket(socket.AF_UNIX) for _ in range(80)]
    for number, client in enumerate(rude):
        client.settimeout(5)
        try:
            client.connect(f"\0hwloop-lease-{board.identity}\0")
            client.sendall(b"x" * 5000 if number % 2 else b"member wrong\n")
        except OSError:
            pass  # too many: it hung up
    assert anna.holder().owner == ANNA
    for client in rude:
        client.close()
    assert ben.holder().owner == ANNA


def test_a_cache_folder_that_others_may_write_to_is_refused(tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    session = DeviceSession("box", LocalTransport("box"), SessionOptions(sys.executable, str(cache)))
    try:
        with pytest.raises(DeviceError, match="writable by others"):
            session.open(Deadline.after(LIMIT_S))
    finally:
        session.close()


def test_a_host_that_falls_silent_loses_its_lease(tmp_path):
    """The agent's own clock decides; here it expires after a second."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import runner.lease as lease; lease.EXPIRES_S = 1.0; "
        "from runner.main import main; main(['agent', sys.argv[2]])"
    )
    from hwloop.devices.runner_file import runner_file

    command = [sys.executable, "-c", script, str(runner_file()), str(tmp_path / "cache")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as agent:
        owner = b'{"op": "lease", "owner": {"user": "u", "host": "h", "pid": 1, "doing": "d"}, "token": "ab"}\n'
        while True:
            agent.stdin.write(owner)
            agent.stdin.flush()
            if b"identity" in agent.stdout.readline():
                break
            time.sleep(0.2)  # somebody measures on this machine just now
        assert agent.wait(LIMIT_S) == 1
        assert b"the host was silent" in agent.stderr.read()


def sleeping_runtime(folder):
    """A runtime whose models never load."""
    code = """
    import time
    class SessionOptions:
        pass
    class InferenceSession:
        def __init__(self, *args, **more):
            time.sleep(1000)
    """
    with zipfile.ZipFile(folder / "runtime.zip", "w") as archive:
        archive.writestr("onnxruntime.py", textwrap.dedent(code))
        archive.writestr("numpy.py", "")
    return Folder(archives=(Blob(folder / "runtime.zip", digest_file(folder / "runtime.zip")),))


JOB = {
    "op": "job", "artifact": "a" * 64, "entry": "m", "options": {}, "inputs": [], "outputs": [], "threads": 1,
    "warmup_seconds": 0, "relative_width": 0, "seconds": 1, "min_calls": 1, "max_calls": 1, "counted_calls": 0,
    "full_speed": 0, "full_speed_ns": 0,
    "known_outputs": [], "deadline_s": 120,
}  # fmt: skip


def busy(board, tmp_path, transport=None):
    """A session whose agent holds the lease, whose zygote runs, and whose job hangs."""
    session = board.session("anna", transport)
    session.lease(ANNA, Deadline.after(1), wait=False, told=quiet)
    runtime = sleeping_runtime(tmp_path)
    session.push([runtime], [], Deadline.after(LIMIT_S))
    zygote = session.zygote("onnxruntime", runtime)
    errors = []

    def run():
        try:
            errors.append(zygote.run(JOB))
        except DeviceError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    await_count(board, 3)
    return thread, errors


def await_count(board, count):
    end = Deadline.after(LIMIT_S)
    while len(board.runners()) != count:
        assert not end.expired, f"{len(board.runners())} processes, not {count}"
        time.sleep(0.05)


@pytest.mark.parametrize("over", ["this machine", "ssh"])
def test_with_the_agent_ends_everything_of_its_session(board, tmp_path, over):
    with running_sshd() as server:
        hop = Hop("anna", server.host, server.port, server.user, (str(server.key_file),), use_agent=False)
        pinned = PinnedKeys(given={"anna": server.host_key})
        transport = SshTransport("anna", (hop,), pinned) if over == "ssh" else None
        thread, errors = busy(board, tmp_path, transport)
        os.kill(board.agents()[0], signal.SIGKILL)
        thread.join(LIMIT_S)
        assert isinstance(errors[0], DeviceError)
        await_count(board, 0)
        assert list((board.folder / "cache-anna" / "incoming").iterdir()) == []
        ben = board.session("ben")
        ben.lease(BEN, Deadline.after(LIMIT_S), wait=True, told=quiet)
        board.sessions[0].close()


def test_with_a_zygote_ends_its_job_and_the_lease_stays(board, tmp_path):
    thread, errors = busy(board, tmp_path)
    os.kill(board.runners("zygote")[0], signal.SIGKILL)
    thread.join(LIMIT_S)
    assert isinstance(errors[0], DeviceError)
    await_count(board, 1)
    assert board.sessions[0].holder().owner == ANNA


def test_when_the_lease_expires_everything_of_its_session_ends(board, tmp_path):
    board.expires_s = 2.0  # which is less than the host is silent between two beats
    thread, errors = busy(board, tmp_path)
    thread.join(LIMIT_S)
    assert isinstance(errors[0], DeviceError)
    await_count(board, 0)


@pytest.mark.parametrize("card", [{}, {"owner": 3}, {"owner": ["a"]}, {"owner": {"user": "a"}}])
def test_a_holder_that_talks_nonsense_is_one_without_a_name(card):
    assert Holder.from_json(card).owner is None


def test_what_a_holder_says_of_itself_cannot_write_to_the_terminal():
    owner = {"user": "a\x1b[2J", "host": "h\n", "pid": 1, "doing": "d" * 1000}
    shown = str(Holder.from_json({"owner": owner, "held_s": 1, "silent_s": 0, "place": 1}))
    assert shown.isprintable() and len(shown) < 300
