"""What every transport must do. Subclass `TransportContract` and give it the fixture `transport`, opened:

class TestMyTransport(TransportContract):
    @pytest.fixture
    def transport(self):
        transport = MyTransport(...)
        transport.open(Deadline.after(10))
        yield transport
        transport.close()
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.transports.base import Transport
from hwloop.errors import DeviceError, DeviceTimeout

LIMIT_S = 30.0
SOON_S = 0.5
FLOOD_BYTES = 4 << 20


def limit() -> Deadline:
    """Return a deadline that nothing here comes near."""
    return Deadline.after(LIMIT_S)


class TransportContract:
    """The promises of `hwloop.devices.transports.base`, each a test. The device must be this machine."""

    @pytest.mark.parametrize("name", ["plain", "with space", "quo'te", 'dou"ble', "$HOME;ls", "ünïcode", "-dash"])
    def test_a_file_arrives_whole_under_any_name(self, transport: Transport, tmp_path: Path, name: str) -> None:
        """Odd names are names, not shell."""
        source = tmp_path / "source"
        source.write_bytes(b"content\0\n" * 1000)
        target = str(tmp_path / "device" / "deep" / name)
        transport.put(source, target, limit())
        assert transport.get(target, limit()) == source.read_bytes()

    @pytest.mark.parametrize("size", [0, 1, 5 << 20])
    def test_a_file_of_any_size_arrives(self, transport: Transport, tmp_path: Path, size: int) -> None:
        """Nothing is added or lost."""
        source = tmp_path / "source"
        source.write_bytes(os.urandom(size))
        transport.put(source, str(tmp_path / "device" / "file"), limit())
        assert transport.get(str(tmp_path / "device" / "file"), limit()) == source.read_bytes()

    def test_what_is_put_is_for_its_owner_alone(self, transport: Transport, tmp_path: Path) -> None:
        """Files 0600, the folder made for them 0700."""
        (tmp_path / "source").write_bytes(b"x")
        transport.put(tmp_path / "source", str(tmp_path / "device" / "file"), limit())
        assert (tmp_path / "device" / "file").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "device").stat().st_mode & 0o777 == 0o700

    def test_a_file_is_replaced(self, transport: Transport, tmp_path: Path) -> None:
        """The second content stands."""
        for content in (b"first and longer", b"second"):
            (tmp_path / "source").write_bytes(content)
            transport.put(tmp_path / "source", str(tmp_path / "file"), limit())
        assert transport.get(str(tmp_path / "file"), limit()) == b"second"

    def test_a_missing_file_is_said_to_be_missing(self, transport: Transport, tmp_path: Path) -> None:
        """As in Python."""
        with pytest.raises(FileNotFoundError):
            transport.get(str(tmp_path / "nothing"), limit())

    def test_a_command_returns_status_and_both_streams(self, transport: Transport) -> None:
        """And takes its input."""
        ended = transport.run(["sh", "-c", "cat; echo bad >&2; exit 7"], limit(), stdin=b"good")
        assert (ended.status, ended.stdout, ended.stderr.strip()) == (7, b"good", b"bad")

    def test_words_reach_the_command_as_they_are(self, transport: Transport) -> None:
        """No shell sees them unquoted."""
        words = ["a b", "$HOME", "`id`", "'", '"', "*", "", "new\nline"]
        ended = transport.run(["python3", "-c", "import sys; print(sys.argv[1:])", *words], limit())
        assert ended.stdout.decode().strip() == repr(words)

    def test_a_signal_is_a_negative_status(self, transport: Transport) -> None:
        """Whichever it was."""
        assert transport.run(["sh", "-c", "kill -TERM $$"], limit()).status < 0

    def test_four_mebibytes_on_both_streams_at_once(self, transport: Transport) -> None:
        """Neither stream blocks the other."""
        flood = (
            "import os, threading; w = lambda fd: [os.write(fd, b'x' * 65535 + b'\\n') for _ in range(64)]; "
            "t = threading.Thread(target=w, args=(2,)); t.start(); w(1); t.join()"
        )
        assert len(transport.run(["python3", "-c", flood], limit()).stdout) == FLOOD_BYTES

    def test_a_command_that_never_ends_is_killed_with_its_children(self, transport: Transport, tmp_path: Path) -> None:
        """At its deadline."""
        pids = tmp_path / "pids"
        script = 'sleep 1000 & echo $! > "$0"; echo $$ >> "$0"; wait'
        started = time.monotonic()
        with pytest.raises(DeviceTimeout):
            transport.run(["sh", "-c", script, str(pids)], Deadline.after(SOON_S))
        assert time.monotonic() - started < LIMIT_S / 2
        assert_gone(pids)

    @pytest.mark.parametrize("way", ["kill", "close", "deadline"])
    def test_a_session_of_its_own_hides_nobody(self, transport: Transport, tmp_path: Path, way: str) -> None:
        """Nor does a parent that ends."""
        pids = tmp_path / "pids"
        command = ["sh", "-c", 'setsid sh -c "$1" "$0" & echo $$ >> "$0"; echo up; wait; exec sleep 1000']
        command += [str(pids), 'sleep 1000 & echo $! >> "$0"; echo $$ >> "$0"; exec sleep 1000']
        if way == "deadline":
            with pytest.raises(DeviceTimeout):
                transport.run(command, Deadline.after(SOON_S))
        else:
            process = transport.start(command, limit())
            assert process.read_line(limit()) == b"up"
            while not pids.exists() or len(pids.read_text().split()) < 3:
                time.sleep(0.01)
            process.kill() if way == "kill" else transport.close()
        assert_gone(pids)

    def test_an_emptied_environment_hides_nobody(self, transport: Transport, tmp_path: Path) -> None:
        """As of a process whose instructions are counted."""
        pids = tmp_path / "pids"
        command = ["env", "-i", f"PATH={os.environ['PATH']}", "setsid", "sh", "-c", 'echo $$ > "$0"; exec sleep 1000']
        with pytest.raises(DeviceTimeout):
            transport.run([*command, str(pids)], Deadline.after(SOON_S))
        assert_gone(pids)

    def test_environments_are_of_equal_length(self, transport: Transport) -> None:
        """So that equal work executes equal instructions."""
        said = [transport.run(["env", "-i", "/usr/bin/env"], limit()).stdout for _ in range(12)]
        assert len({len(text) for text in said}) == 1

    def test_lines_that_nobody_reads_wait_on_the_device(self, transport: Transport) -> None:
        """In its pipe, and not in this host's memory; they are all there when they are asked for."""
        script = "import sys\nfor number in range(400): sys.stdout.write('%d ' % number + 'x' * 100_000 + '\\n')"
        process = transport.start(["python3", "-c", script], limit())
        with pytest.raises(DeviceTimeout):
            process.wait(Deadline.after(SOON_S))
        for number in range(400):
            assert process.read_line(limit()).split()[0] == str(number).encode()
        assert process.wait(limit()) == 0

    def test_a_process_that_does_not_read_holds_nobody(self, transport: Transport) -> None:
        """Past the deadline."""
        process = transport.start(["sleep", "1000"], limit())
        with pytest.raises(DeviceTimeout):
            process.write(b"x" * (32 << 20), Deadline.after(SOON_S))
        process.kill()

    def test_a_process_is_spoken_to_line_by_line(self, transport: Transport) -> None:
        """Until its end."""
        process = transport.start(["cat"], limit())
        for line in (b"one", b"", b"three " * 50_000):
            process.write(line + b"\n", limit())
            assert process.read_line(limit()) == line
        process.close_stdin()
        with pytest.raises(EOFError):
            process.read_line(limit())
        assert process.wait(limit()) == 0

    def test_a_silent_process_is_waited_for_no_longer_than_asked(self, transport: Transport) -> None:
        """And can be killed then."""
        process = transport.start(["sleep", "1000"], limit())
        with pytest.raises(DeviceTimeout):
            process.read_line(Deadline.after(SOON_S))
        with pytest.raises(DeviceTimeout):
            process.wait(Deadline.after(SOON_S))
        process.kill()
        process.kill()

    def test_what_a_process_says_on_standard_error_is_kept(self, transport: Transport) -> None:
        """The end of it."""
        process = transport.start(["sh", "-c", "echo first >&2; echo last >&2; exit 3"], limit())
        assert process.wait(limit()) == 3
        assert process.stderr_tail().split() == ["first", "last"]

    def test_closing_ends_every_process_and_may_be_done_twice(self, transport: Transport, tmp_path: Path) -> None:
        """Children too."""
        pids = tmp_path / "pids"
        process = transport.start(["sh", "-c", 'sleep 1000 & echo $! > "$0"; echo up; wait', str(pids)], limit())
        assert process.read_line(limit()) == b"up"
        transport.close()
        transport.close()
        assert_gone(pids)
        with pytest.raises((DeviceError, EOFError)):
            process.read_line(limit())

    def test_several_threads_use_it_at_once(self, transport: Transport, tmp_path: Path) -> None:
        """Without mixing anything up."""

        def use(number: int) -> bytes:
            source = tmp_path / f"source{number}"
            source.write_bytes(bytes([number]) * 100_000)
            transport.put(source, str(tmp_path / f"target{number}"), limit())
            said = transport.run(["echo", str(number)], limit()).stdout
            return transport.get(str(tmp_path / f"target{number}"), limit())[:1] + said.strip()

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(use, range(16))) == [bytes([number]) + str(number).encode() for number in range(16)]


def assert_gone(pids: Path) -> None:
    """Check that the processes whose numbers stand in a file end soon; one that waits to be reaped has ended."""
    end = Deadline.after(LIMIT_S / 3)
    for pid in pids.read_text().split():
        while alive(int(pid)):
            assert not end.expired, f"process {pid} is still there"
            time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
