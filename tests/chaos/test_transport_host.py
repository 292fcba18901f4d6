"""A device without room, and a host whose clock jumps."""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.transports.base import Transport
from hwloop.devices.transports.local import LocalTransport
from hwloop.devices.transports.ssh import Hop, SshTransport
from hwloop.devices.trust import PinnedKeys
from hwloop.errors import DeviceDiskFull, DeviceTimeout, DeviceUnreachable
from hwloop.testing.sshd import running_sshd

KIB = 1 << 10
HOUR_S = 3600.0


def limit(seconds: float = 30.0) -> Deadline:
    return Deadline.after(seconds)


@pytest.fixture(scope="module")
def sshd():
    with running_sshd() as server:
        yield server


def made(kind, sshd) -> Transport:
    hop = Hop("box", sshd.host, sshd.port, sshd.user, (sshd.key_file,), use_agent=False)
    return (
        LocalTransport("box")
        if kind == "local"
        else SshTransport("box", [hop], PinnedKeys(given={"box": sshd.host_key}))
    )


@pytest.fixture
def small_disk(tmp_path):
    """A cache folder on a file system of 256 KiB."""
    folder = tmp_path / "cache"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "small", folder], check=True, timeout=10)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True, timeout=10)


@pytest.mark.parametrize("kind", ["local", "ssh"])
def test_a_disk_that_fills_up(kind, sshd, small_disk, tmp_path, fault):
    """Files arrive whole until there is no room; then none is left in pieces, and room that is made is used."""
    dice = random.Random(5)
    transport = made(kind, sshd)
    transport.open(limit())
    arrived = {}
    source = tmp_path / "source"
    with fault("disk full"):
        with pytest.raises(DeviceDiskFull) as caught:
            for number in range(100):
                source.write_bytes(dice.randbytes(dice.randrange(64 * KIB)))
                path = small_disk / "incoming" / str(number)
                transport.put(source, str(path), limit())
                arrived[path] = source.read_bytes()
        assert "cache_dir" in caught.value.remedy
        assert arrived
        assert {path: path.read_bytes() for path in (small_disk / "incoming").iterdir()} == arrived
        next(iter(arrived)).unlink()
        source.write_bytes(os.urandom(KIB))
        transport.put(source, str(small_disk / "incoming" / "after"), limit())
    transport.close()


@pytest.mark.parametrize("kind", ["local", "ssh"])
def test_a_wall_clock_that_jumps(kind, sshd, tmp_path, fault, monkeypatch):
    """By up to an hour, either way, 50 times a second: deadlines stand on the monotonic clock.

    paramiko looks at the wall clock while it connects; a jump there may cost a try, and never more time than given.
    """
    right_time, dice, ended = time.time, random.Random(6), threading.Event()
    offset_s = [0.0]

    def jump() -> None:
        while not ended.wait(0.02):
            offset_s[0] = dice.uniform(-HOUR_S, HOUR_S)

    monkeypatch.setattr(time, "time", lambda: right_time() + offset_s[0])
    jumping = threading.Thread(target=jump)
    jumping.start()
    (tmp_path / "source").write_bytes(os.urandom(256 * KIB))
    transport = made(kind, sshd)
    try:
        with fault("wall clock jumps", 6):
            for _ in range(20):
                try:
                    transport.open(limit(5))
                    break
                except DeviceUnreachable:
                    continue
            for number in range(10):
                assert transport.run(["echo", str(number)], limit()).stdout == b"%d\n" % number
                transport.put(tmp_path / "source", str(tmp_path / "target"), limit())
            started_s = time.monotonic()
            with pytest.raises(DeviceTimeout):
                transport.run(["sleep", "1000"], limit(1))
            assert 0.9 < time.monotonic() - started_s < 15
    finally:
        ended.set()
        jumping.join()
        transport.close()
