"""Commands that misbehave, over every transport: the host's memory and time are bounded, and nothing stays behind."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.transports import local_process, pipes, ssh_process
from hwloop.devices.transports.base import Transport
from hwloop.devices.transports.fake import FakeTransport, Faults
from hwloop.devices.transports.local import LocalTransport
from hwloop.devices.transports.ssh import Hop, SshTransport
from hwloop.devices.trust import PinnedKeys
from hwloop.errors import DeviceTimeout, RunnerError
from hwloop.testing.sshd import Sshd, running_sshd
from hwloop.testing.waiting import alive, until

MIB = 1 << 20
BOTH = "import os, threading; w = lambda fd: [os.write(fd, b'x' * 65535 + b'\\n') for _ in range(64)]; "
FLOOD = BOTH + "t = threading.Thread(target=w, args=(2,)); t.start(); w(1); t.join()"
NO_LINE_END = "import os, sys; print(os.getpid(), flush=True)\nwhile True: os.write(1, b'x' * 65536)"
LINES = "import os, sys; print(os.getpid(), flush=True)\nwhile True: os.write(1, b'%%% no JSON\\n' * 5000)"


def limit(seconds: float = 60.0) -> Deadline:
    return Deadline.after(seconds)


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with running_sshd() as server:
        yield server


@pytest.fixture(params=["local", "fake", "ssh"])
def transport(request: pytest.FixtureRequest, sshd: Sshd) -> Iterator[Transport]:
    hop = Hop("box", sshd.host, sshd.port, sshd.user, (sshd.key_file,), use_agent=False)
    made: Transport = {
        "local": lambda: LocalTransport("box"),
        "fake": lambda: FakeTransport("box", Faults()),
        "ssh": lambda: SshTransport("box", [hop], PinnedKeys(given={"box": sshd.host_key})),
    }[request.param]()
    made.open(limit())
    yield made
    made.close()


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits of what is kept, 16 times smaller, so that reaching them takes no minute."""
    line, unread, output = (size // 16 for size in (pipes.MOST_LINE_BYTES, pipes.MOST_UNREAD_BYTES, 256 * MIB))
    for module in (local_process, ssh_process):
        monkeypatch.setattr(module, "LineBuffer", lambda: pipes.LineBuffer(line, unread))
        monkeypatch.setattr(module, "Collected", lambda: pipes.Collected(output))


def test_four_mebibytes_on_both_streams_at_once(transport, fault):
    with fault("flood of both streams"):
        ended = transport.run([sys.executable, "-c", FLOOD], limit())
        assert (len(ended.stdout), len(ended.stderr)) == (4 * MIB, 4 * MIB)


def test_a_command_that_never_ends_ends_at_its_deadline(transport, fault, tmp_path):
    with fault("command that never ends", within_s=20), pytest.raises(DeviceTimeout):
        transport.run(["sh", "-c", 'echo $$ > "$0"; sleep 1000', str(tmp_path / "pid")], limit(0.3))
    assert until(lambda: not alive(int((tmp_path / "pid").read_text())))


def test_a_line_without_an_end_is_given_up(transport, fault, small_limits):
    with fault("line without an end"):
        process = transport.start([sys.executable, "-c", NO_LINE_END], limit())
        pid = int(process.read_line(limit()))
        with pytest.raises(RunnerError, match="16 MiB"):
            process.read_line(limit())
        assert until(lambda: not alive(pid))


def test_lines_that_nobody_reads_wait_on_the_device(transport, fault, small_limits):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with fault("endless lines"):
        process = transport.start([sys.executable, "-c", LINES], limit())
        pid = int(process.read_line(limit()))
        with pytest.raises(DeviceTimeout):
            process.wait(limit(0.7))
        assert process.read_line(limit()) == b"%%% no JSON"
        assert alive(pid)
        process.kill()
    assert until(lambda: not alive(pid))
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mib < 200


def test_an_output_beyond_all_measure_is_given_up(transport, fault, small_limits):
    with fault("output without an end"), pytest.raises(RunnerError, match="16 MiB"):
        transport.run([sys.executable, "-c", NO_LINE_END], limit())
