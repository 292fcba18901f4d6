"""The SSH transport against real OpenSSH servers on loopback."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.transports.ssh import Hop, SshTransport, fetch_host_key
from hwloop.devices.trust import PinnedKeys, fingerprint
from hwloop.errors import (
    DeviceDiskFull,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    HostKeyError,
)
from hwloop.testing.sshd import Sshd, descendants, free_port, make_key, running_sshd
from hwloop.testing.waiting import alive, until

MIB = 1 << 20


def soon() -> Deadline:
    return Deadline.after(20)


@pytest.fixture(autouse=True)
def _no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with running_sshd() as server:
        yield server


def hop_to(server: Sshd, name: str = "board") -> Hop:
    return Hop(name, server.host, server.port, server.user, (server.key_file,))


def to(server: Sshd, **changes: object) -> SshTransport:
    hop = replace(hop_to(server), **changes)  # type: ignore[arg-type]
    return SshTransport("board", [hop], PinnedKeys(given={"board": server.host_key}))


@contextmanager
def opened(transport: SshTransport) -> Iterator[SshTransport]:
    try:
        transport.open(soon())
        yield transport
    finally:
        transport.close()


@pytest.fixture(scope="module")
def shared(sshd: Sshd) -> Iterator[SshTransport]:
    with opened(to(sshd)) as transport:
        yield transport


@pytest.fixture
def own(sshd: Sshd) -> Iterator[SshTransport]:
    with opened(to(sshd)) as transport:
        yield transport


def error_of(expected: type[DeviceError], transport: SshTransport, within_s: float = 5.0) -> DeviceError:
    started = time.monotonic()
    with pytest.raises(expected) as caught:
        transport.open(Deadline.after(within_s))
    transport.close()
    assert time.monotonic() - started < within_s + 20
    return caught.value


class TestCommands:
    def test_words_arrive_as_they_are(self, shared: SshTransport):
        words = ["a b", "c'd", '"', "$HOME", "`id`", "*", "new\nline", "", "-n", "back\\slash", "!", "ü"]
        ended = shared.run(["printf", "<%s>", *words], soon())
        assert ended.stdout.decode() == "".join(f"<{word}>" for word in words)

    @pytest.mark.parametrize("status", [0, 1, 7, 255])
    def test_the_exit_status_comes_back(self, shared: SshTransport, status: int):
        assert shared.run(["sh", "-c", f"exit {status}"], soon()).status == status

    @pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "HUP"])
    def test_a_signal_is_a_negative_status(self, shared: SshTransport, name: str):
        assert shared.run(["sh", "-c", f"kill -{name} $$"], soon()).status == -signal.Signals[f"SIG{name}"]

    def test_a_signal_without_a_name_is_negative_too(self, shared: SshTransport):
        assert shared.run(["sh", "-c", "kill -BUS $$"], soon()).status == -128

    def test_a_command_that_is_not_there(self, shared: SshTransport):
        ended = shared.run(["no-such-command"], soon())
        assert ended.status == 127
        assert b"no-such-command" in ended.stderr

    @pytest.mark.parametrize("text", [b"", b"a", b"a\n", b"\n\n", b"a\r\n\x00\xff"])
    def test_output_comes_back_to_the_byte(self, shared: SshTransport, text: bytes):
        assert shared.run(["cat"], soon(), stdin=text).stdout == text

    def test_four_megabytes_on_both_streams_at_once(self, shared: SshTransport):
        script = (
            "import sys, threading\n"
            "def fill(stream): return threading.Thread(target=stream.write, args=('x' * (4 << 20),))\n"
            "ends = [fill(sys.stdout), fill(sys.stderr)]\n"
            "[end.start() for end in ends]; [end.join() for end in ends]"
        )
        ended = shared.run([sys.executable, "-c", script], soon())
        assert (ended.status, len(ended.stdout), len(ended.stderr)) == (0, 4 * MIB, 4 * MIB)

    def test_four_megabytes_of_errors_first(self, shared: SshTransport):
        script = "import sys; sys.stderr.write('x' * (4 << 20)); sys.stdout.write('y' * (4 << 20))"
        process = shared.start([sys.executable, "-c", script], soon())
        assert process.wait(soon()) == 0
        assert len(process.read_line(soon())) == 4 * MIB
        assert len(process.stderr_tail()) == 1 << 16

    def test_input_that_nobody_reads_is_no_error(self, shared: SshTransport):
        assert shared.run(["true"], soon(), stdin=b"x" * 4 * MIB).status == 0

    def test_a_conversation(self, shared: SshTransport):
        process = shared.start(["cat"], soon())
        for number in range(50):
            process.write(b"%d\n" % number, soon())
            assert process.read_line(soon()) == b"%d" % number
        process.close_stdin()
        with pytest.raises(EOFError):
            process.read_line(soon())
        assert process.wait(soon()) == 0

    def test_writing_to_a_command_that_ended(self, shared: SshTransport):
        process = shared.start(["sh", "-c", "echo oh no >&2"], soon())
        process.wait(soon())
        with pytest.raises(DeviceUnreachable, match="oh no"):
            process.write(b"x", soon())

    def test_writing_to_a_command_that_does_not_read(self, shared: SshTransport):
        process = shared.start(["sleep", "60"], soon())
        with pytest.raises(DeviceTimeout):
            process.write(b"x" * 16 * MIB, Deadline.after(0.3))
        process.kill()
        assert shared.run(["true"], soon()).status == 0

    def test_what_a_login_script_prints_is_left_out(self, sshd: Sshd):
        with (
            running_sshd(['ForceCommand echo welcome; echo; eval "$SSH_ORIGINAL_COMMAND"']) as chatty,
            opened(to(chatty)) as transport,
        ):
            assert transport.run(["echo", "hi"], soon()).stdout == b"hi\n"

    def test_a_server_that_runs_no_commands(self):
        with running_sshd(["ForceCommand echo go away"]) as server:
            assert "go away" in str(error_of(DeviceUnreachable, to(server)))

    def test_many_at_once_share_the_connection(self, shared: SshTransport, sshd: Sshd):
        before = sshd.log().count("Accepted publickey")
        wrong: list[object] = []

        def work(number: int) -> None:
            for _ in range(20):
                ended = shared.run(["cat"], soon(), stdin=b"%d" % number)
                if ended.stdout != b"%d" % number:
                    wrong.append(ended)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert sshd.log().count("Accepted publickey") == before

    def test_no_session_left_is_told(self):
        with running_sshd(["MaxSessions 2"]) as server, opened(to(server)) as transport:
            transport.start(["sleep", "60"], soon())
            with pytest.raises(DeviceUnreachable, match="session") as caught:
                transport.run(["true"], soon())
            assert "MaxSessions" in caught.value.remedy

    def test_kill_needs_no_free_session(self):
        with running_sshd(["MaxSessions 2"]) as server, opened(to(server)) as transport:
            process = transport.start(["sh", "-c", "echo $$; exec sleep 60"], soon())
            pid = int(process.read_line(soon()))
            process.kill()
            assert not alive(pid)
            assert transport.run(["true"], soon()).status == 0


class TestEnding:
    SCRIPT = "sleep 600 & echo $$ $!; exec sleep 600"

    def test_kill_ends_everything_that_was_started(self, shared: SshTransport):
        process = shared.start(["sh", "-c", self.SCRIPT], soon())
        pids = [int(word) for word in process.read_line(soon()).split()]
        assert all(alive(pid) for pid in pids)
        process.kill()
        assert until(lambda: not any(alive(pid) for pid in pids))
        assert process.wait(soon()) == -signal.SIGKILL
        process.kill()

    def test_kill_ends_children_that_outlive_their_parent(self, shared: SshTransport):
        process = shared.start(["sh", "-c", "sleep 600 & echo $!"], soon())
        child = int(process.read_line(soon()))
        process.wait(soon())
        process.kill()
        assert until(lambda: not alive(child))

    def test_a_command_that_never_ends_is_killed_at_the_deadline(self, shared: SshTransport, tmp_path: Path):
        started = time.monotonic()
        with pytest.raises(DeviceTimeout, match="sh"):
            shared.run(["sh", "-c", f"echo $$ > {tmp_path}/pid; {self.SCRIPT}"], Deadline.after(0.5))
        assert time.monotonic() - started < 20
        pid = int((tmp_path / "pid").read_text())
        assert until(lambda: not alive(pid))

    def test_waiting_and_reading_end_by_their_deadline(self, shared: SshTransport):
        process = shared.start(["sleep", "600"], soon())
        for ask in (process.wait, process.read_line):
            with pytest.raises(DeviceTimeout):
                ask(Deadline.after(0.05))
        process.kill()

    def test_closing_the_transport_ends_what_it_started(self, sshd: Sshd):
        with opened(to(sshd)) as transport:
            process = transport.start(["sh", "-c", self.SCRIPT], soon())
            pids = [int(word) for word in process.read_line(soon()).split()]
        assert until(lambda: not any(alive(pid) for pid in pids))
        transport.close()


class TestFiles:
    @pytest.mark.parametrize(
        "name", ["plain", "a b", "it's", '"', "$HOME", "-n", "new\nline", "é", "*", "deep/er/x", "x\n/y"]
    )
    def test_a_file_goes_there_and_back_whatever_its_name(self, shared: SshTransport, tmp_path: Path, name: str):
        source = tmp_path / "source"
        source.write_bytes(os.urandom(100_000))
        path = f"{tmp_path}/there/{name}"
        shared.put(source, path, soon())
        assert shared.get(path, soon()) == source.read_bytes()
        arrived = Path(path)
        assert arrived.stat().st_mode & 0o777 == 0o600
        assert arrived.parent.stat().st_mode & 0o777 == 0o700
        assert list(arrived.parent.iterdir()) == [arrived]

    def test_an_empty_file(self, shared: SshTransport, tmp_path: Path):
        (tmp_path / "empty").touch()
        shared.put(tmp_path / "empty", f"{tmp_path}/there", soon())
        assert shared.get(f"{tmp_path}/there", soon()) == b""

    def test_it_replaces_what_was_there(self, shared: SshTransport, tmp_path: Path):
        (tmp_path / "there").write_bytes(b"old")
        (tmp_path / "source").write_bytes(b"new")
        shared.put(tmp_path / "source", f"{tmp_path}/there", soon())
        assert (tmp_path / "there").read_bytes() == b"new"

    def test_a_missing_file(self, shared: SshTransport, tmp_path: Path):
        with pytest.raises(FileNotFoundError):
            shared.get(f"{tmp_path}/nothing", soon())

    def test_a_place_that_cannot_be_written(self, shared: SshTransport, tmp_path: Path):
        (tmp_path / "source").write_bytes(b"x" * 8 * MIB)
        (tmp_path / "file").touch()
        with pytest.raises(DeviceUnreachable, match="cannot write"):
            shared.put(tmp_path / "source", f"{tmp_path}/file/below", soon())
        assert shared.run(["true"], soon()).status == 0

    def test_a_connection_that_breaks_leaves_no_file(self, sshd: Sshd, tmp_path: Path):
        source = tmp_path / "source"
        source.write_bytes(b"x" * 64 * MIB)
        with running_sshd() as server, opened(to(server)) as transport:
            cutter = threading.Timer(0.1, server.cut)
            cutter.start()
            with pytest.raises(DeviceUnreachable):
                while True:
                    transport.put(source, f"{tmp_path}/there", soon())
                    (tmp_path / "there").unlink()
            cutter.join()
        assert not (tmp_path / "there").exists()

    def test_a_push_past_its_deadline_leaves_nothing(self, own: SshTransport, tmp_path: Path):
        (tmp_path / "source").write_bytes(b"x" * 256 * MIB)
        with pytest.raises(DeviceTimeout):
            own.put(tmp_path / "source", f"{tmp_path}/there/x", Deadline.after(0.3))
        assert until(lambda: not list((tmp_path / "there").glob("*")))
        assert own.run(["true"], soon()).status == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB in a namespace of its own; a process holds it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = f"mount -t tmpfs -o size=1m disk '{folder}' && echo ready && exec sleep 600"
    holder = subprocess.Popen(
        ["unshare", *own_user, "--mount", "sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True
    )
    assert holder.stdout and holder.stdout.readline() == b"ready\n"
    yield Path(f"/proc/{holder.pid}/root{folder}")
    holder.kill()
    holder.wait()
    holder.stdout.close()


def test_a_full_disk_is_named_and_nothing_stays(shared: SshTransport, small_disk: Path, tmp_path: Path):
    (tmp_path / "source").write_bytes(b"x" * 32 * MIB)
    with pytest.raises(DeviceDiskFull, match=r"33\.6 MB") as caught:
        shared.put(tmp_path / "source", f"{small_disk}/there/x", soon())
    assert "cache_dir" in caught.value.remedy
    assert list((small_disk / "there").iterdir()) == []
    assert shared.run(["true"], soon()).status == 0


class TestLoggingIn:
    def test_no_key_is_refused_with_user_and_keys(self, sshd: Sshd, tmp_path: Path):
        wrong = make_key(tmp_path / "wrong")
        missing, locked = tmp_path / "missing", make_key(tmp_path / "locked", passphrase="secret")
        error = error_of(DeviceRefused, to(sshd, key_files=(wrong, missing, locked)))
        for word in (sshd.user, str(wrong), f"{missing} (No such file", "passphrase", "authorized_keys"):
            assert word in f"{error} {error.remedy}"

    def test_the_second_key_is_tried(self, sshd: Sshd, tmp_path: Path):
        with opened(to(sshd, key_files=(make_key(tmp_path / "wrong"), sshd.key_file))) as transport:
            assert transport.run(["true"], soon()).status == 0

    @pytest.mark.parametrize("key_type", ["rsa", "ecdsa"])
    def test_other_types_of_keys(self, tmp_path: Path, key_type: str):
        key = make_key(tmp_path / "key", key_type)
        with running_sshd(key_type=key_type) as server:
            (server.folder / "authorized_keys").write_text(Path(f"{key}.pub").read_text())
            with opened(to(server, key_files=(key,))) as transport:
                assert transport.run(["true"], soon()).status == 0

    def test_too_many_keys(self, tmp_path: Path):
        keys = tuple(make_key(tmp_path / f"key{number}") for number in range(4))
        with running_sshd(["MaxAuthTries 2"]) as server:
            assert "key_file" in str(error_of(DeviceRefused, to(server, key_files=keys)))

    def test_a_server_that_takes_passwords_only(self):
        with running_sshd(["PubkeyAuthentication no", "KbdInteractiveAuthentication yes"]) as server:
            error_of(DeviceRefused, to(server))


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = tmp_path / "agent"
    keeper = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    assert until(path.exists)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield
    keeper.terminate()
    keeper.wait(10)


def ssh_add(key: Path) -> None:
    subprocess.run(["ssh-add", "-q", key], check=True, capture_output=True, timeout=10)


class TestAgents:
    def test_the_agent_s_keys_are_used(self, sshd: Sshd, agent: None):
        ssh_add(sshd.key_file)
        with opened(to(sshd, key_files=())) as transport:
            assert transport.run(["true"], soon()).status == 0

    def test_an_agent_that_is_not_wanted(self, sshd: Sshd, agent: None):
        ssh_add(sshd.key_file)
        error_of(DeviceRefused, to(sshd, key_files=(), use_agent=False))

    def test_identities_only_takes_the_agent_s_key_of_a_file(self, sshd: Sshd, agent: None, tmp_path: Path):
        ssh_add(sshd.key_file)
        other = make_key(tmp_path / "other")
        error_of(DeviceRefused, to(sshd, key_files=(other,), identities_only=True))
        public = tmp_path / "public"
        Path(f"{public}.pub").write_text(Path(f"{sshd.key_file}.pub").read_text())
        with opened(to(sshd, key_files=(public,), identities_only=True)) as transport:
            assert transport.run(["true"], soon()).status == 0

    def test_an_agent_that_does_not_answer(self, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(tmp_path / "silent"))
            silent.listen()
            monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "silent"))
            error_of(DeviceUnreachable, to(sshd, key_files=()), within_s=0.5)


class TestHostKeys:
    def test_an_unknown_key_is_refused_before_the_login(self, sshd: Sshd, tmp_path: Path):
        before = sshd.log().count("Accepted")
        transport = SshTransport("board", [hop_to(sshd)], PinnedKeys(tmp_path / "none"))
        error = error_of(HostKeyError, transport)
        assert "hwloop devices trust board" in error.remedy
        assert sshd.log().count("Accepted") == before

    def test_a_changed_key_is_refused(self, sshd: Sshd, tmp_path: Path):
        other = " ".join(Path(f"{make_key(tmp_path / 'other')}.pub").read_text().split()[:2])
        pinned = PinnedKeys(given={"board": other})
        assert "changed" in str(error_of(HostKeyError, SshTransport("board", [hop_to(sshd)], pinned)))

    def test_the_pinned_type_is_asked_for(self, tmp_path: Path):
        rsa = make_key(tmp_path / "rsa", "rsa")
        line = " ".join(Path(f"{rsa}.pub").read_text().split()[:2])
        with running_sshd([f"HostKey {rsa}"]) as server:
            assert server.host_key.startswith("ssh-ed25519")
            with opened(SshTransport("board", [hop_to(server)], PinnedKeys(given={"board": line}))) as transport:
                assert transport.run(["true"], soon()).status == 0

    def test_a_key_can_be_fetched_without_a_login(self, sshd: Sshd, tmp_path: Path):
        before = sshd.log().count("Accepted")
        key = fetch_host_key("board", [hop_to(sshd)], PinnedKeys(tmp_path / "none"), soon())
        assert f"{key.get_name()} {key.get_base64()}" == sshd.host_key
        assert fingerprint(key).startswith("SHA256:")
        assert sshd.log().count("Accepted") == before


@pytest.fixture(scope="module")
def gates() -> Iterator[list[Sshd]]:
    with running_sshd() as first, running_sshd() as second:
        yield [first, second]


class TestJumpHosts:
    def through(self, gates: list[Sshd], sshd: Sshd, **wrong: str) -> SshTransport:
        hops = [hop_to(gate, f"gate{number}") for number, gate in enumerate(gates)]
        given = {f"gate{number}": gate.host_key for number, gate in enumerate(gates)}
        return SshTransport(
            "board", [*hops, hop_to(sshd)], PinnedKeys(given={**given, "board": sshd.host_key, **wrong})
        )

    def test_a_chain_of_several(self, gates: list[Sshd], sshd: Sshd, tmp_path: Path):
        with opened(self.through(gates, sshd)) as transport:
            (tmp_path / "source").write_bytes(os.urandom(4 * MIB))
            transport.put(tmp_path / "source", f"{tmp_path}/there", soon())
            assert transport.get(f"{tmp_path}/there", soon()) == (tmp_path / "source").read_bytes()
        assert not transport.connected

    def test_their_keys_are_checked(self, gates: list[Sshd], sshd: Sshd):
        transport = self.through(gates, sshd, gate1=sshd.host_key)
        assert "jump host gate1" in str(error_of(HostKeyError, transport))

    def test_what_a_jump_host_cannot_reach(self, gates: list[Sshd], sshd: Sshd):
        gone = replace(sshd, port=free_port())
        assert "jump host cannot reach" in str(error_of(DeviceUnreachable, self.through(gates, gone)))

    def test_a_jump_host_that_forwards_nothing(self, sshd: Sshd):
        with running_sshd(["AllowTcpForwarding no"]) as gate:
            assert "AllowTcpForwarding" in error_of(DeviceUnreachable, self.through([gate], sshd)).remedy

    def test_a_cut_on_the_way_is_a_lost_connection(self, sshd: Sshd):
        with running_sshd() as gate, opened(self.through([gate], sshd)) as transport:
            process = transport.start(["cat"], soon())
            gate.cut()
            with pytest.raises(DeviceUnreachable, match="lost"):
                process.read_line(soon())


class TestBadConnections:
    def test_nobody_listens(self, sshd: Sshd):
        error = error_of(DeviceUnreachable, to(sshd, port=free_port()))
        assert "Connection refused" in str(error)
        assert error.remedy

    def test_an_unknown_name(self, sshd: Sshd):
        assert "not known" in str(error_of(DeviceUnreachable, to(sshd, host="board.invalid"), within_s=10))

    @pytest.mark.parametrize("words", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
    def test_a_server_that_says_nothing_more(self, sshd: Sshd, words: bytes):
        with socket.create_server(("127.0.0.1", 0)) as server:
            held: list[socket.socket] = []

            def serve() -> None:
                held.append(server.accept()[0])
                held[0].sendall(words)

            thread = threading.Thread(target=serve)
            thread.start()
            error_of(DeviceUnreachable, to(sshd, port=server.getsockname()[1]), within_s=0.7)
            thread.join()
            held[0].close()

    def test_a_server_that_hangs_up(self, sshd: Sshd):
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=lambda: server.accept()[0].close())
            thread.start()
            error_of(DeviceUnreachable, to(sshd, port=server.getsockname()[1]))
            thread.join()

    def test_a_queue_that_nobody_serves(self, sshd: Sshd):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
            error_of(DeviceUnreachable, to(sshd, port=server.getsockname()[1]), within_s=0.5)

    def test_a_cut_ends_every_wait_and_opening_again_goes_on(self):
        with running_sshd() as server, opened(to(server)) as transport:
            process = transport.start(["cat"], soon())
            threading.Timer(0.1, server.cut).start()
            for ask in (process.read_line, process.wait):
                with pytest.raises(DeviceUnreachable, match="lost"):
                    ask(soon())
            with pytest.raises(DeviceUnreachable):
                transport.run(["true"], soon())
            process.kill()
            transport.open(soon())
            assert transport.run(["true"], soon()).status == 0

    def test_a_server_that_freezes_holds_nobody_past_the_deadline(self, tmp_path: Path):
        (tmp_path / "source").write_bytes(b"x" * 64 * MIB)
        with running_sshd() as server, opened(to(server)) as transport, frozen(server):
            for act in (
                lambda limit: transport.run(["true"], limit),
                lambda limit: transport.put(tmp_path / "source", f"{tmp_path}/there", limit),
            ):
                started = time.monotonic()
                with pytest.raises((DeviceTimeout, DeviceUnreachable)):
                    act(Deadline.after(0.3))
                assert time.monotonic() - started < 20

    def test_a_server_that_freezes_in_the_middle_of_a_push(self, tmp_path: Path):
        (tmp_path / "source").write_bytes(b"x" * 512 * MIB)
        with running_sshd() as server, opened(to(server)) as transport:
            timer = threading.Timer(0.2, lambda: freeze(server, signal.SIGSTOP))
            timer.start()
            started = time.monotonic()
            with pytest.raises((DeviceTimeout, DeviceUnreachable)):
                transport.put(tmp_path / "source", f"{tmp_path}/there", Deadline.after(0.7))
            assert time.monotonic() - started < 20
            timer.join()
        assert not (tmp_path / "there").exists()


def freeze(server: Sshd, number: signal.Signals) -> None:
    """Send a signal to what serves the connections, not to the commands that run there."""
    for pid in descendants(server.pid):
        with suppress(ProcessLookupError, FileNotFoundError):
            if Path(f"/proc/{pid}/comm").read_text().startswith("sshd"):
                os.kill(pid, number)


@contextmanager
def frozen(server: Sshd) -> Iterator[None]:
    freeze(server, signal.SIGSTOP)
    yield
    freeze(server, signal.SIGCONT)
