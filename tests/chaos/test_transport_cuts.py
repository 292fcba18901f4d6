"""Connections that are cut, at seeded places; devices that reboot; host keys that change."""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.transports import ssh_pulse
from hwloop.devices.transports.ssh import Hop, SshTransport
from hwloop.devices.trust import PinnedKeys
from hwloop.errors import DeviceError, DeviceTimeout, DeviceUnreachable, HostKeyError
from hwloop.testing.proxy import proxied
from hwloop.testing.sshd import running_sshd
from hwloop.testing.waiting import alive, until

MIB = 1 << 20
LOST = (DeviceUnreachable, DeviceTimeout)


def limit(seconds: float = 30.0) -> Deadline:
    return Deadline.after(seconds)


@pytest.fixture(scope="module")
def sshd():
    with running_sshd() as server:
        yield server


def hop_to(server, **changes):
    hop = Hop("box", server.host, server.port, server.user, (server.key_file,), use_agent=False)
    return replace(hop, **changes)


@contextmanager
def opened(server, **changes):
    transport = SshTransport("box", [hop_to(server, **changes)], PinnedKeys(given={"box": server.host_key}))
    transport.open(limit())
    try:
        yield transport
    finally:
        transport.close()


def cut_in_a_push(sshd, folder, fault, way, seed):
    """Push until the proxy cuts; the file is there whole or not at all, and a second try brings it."""
    dice = random.Random(seed)
    source = folder / "source"
    source.write_bytes(dice.randbytes(4 * MIB))
    target = folder / f"device{seed}{way}" / "file"
    with proxied(sshd.port) as proxy, fault(f"tcp {way} in a push", seed):
        with opened(sshd, port=proxy.port) as transport:
            proxy.by = way
            proxy.cut_after_bytes = proxy.passed_bytes + dice.randrange(4 * MIB + 50_000)
            with suppress(*LOST):
                transport.put(source, str(target), limit(2))
        # What closed the connection ends the script there, which removes what is unfinished.
        if way != "freeze":
            assert until(lambda: not list(target.parent.glob("*.part.*")))
        assert not target.exists() or target.read_bytes() == source.read_bytes()
        with opened(sshd) as transport:
            transport.put(source, str(target), limit())
            assert transport.get(str(target), limit()) == source.read_bytes()
    assert until(lambda: list(target.parent.iterdir()) == [target])


def cut_in_a_run(sshd, folder, fault, way, seed):
    """Converse until the proxy cuts; every answer before it is right, and what ran there ends."""
    dice = random.Random(seed)
    pid_file = folder / f"pid{seed}{way}"
    injected = fault(f"tcp {way} in a run", seed)
    with proxied(sshd.port) as proxy, injected, opened(sshd, port=proxy.port) as transport:
        process = transport.start(["sh", "-c", 'echo $$ > "$0"; cat; sleep 1000', str(pid_file)], limit())
        timer = threading.Timer(dice.random() / 2, proxy.cut)
        proxy.by = way
        timer.start()
        with pytest.raises((*LOST, EOFError)):
            for number in range(10**9):
                process.write(b"%d\n" % number, limit(2))
                assert process.read_line(limit(2)) == b"%d" % number
        timer.join()
        with pytest.raises(DeviceError):
            transport.run(["true"], limit(1))
    assert until(lambda: not alive(int(pid_file.read_text())))


@pytest.mark.parametrize("cut", [cut_in_a_push, cut_in_a_run])
@pytest.mark.parametrize("way", ["reset", "finish"])
def test_a_cut(sshd, tmp_path, fault, cut, way):
    cut(sshd, tmp_path, fault, way, seed=1)


@pytest.mark.chaos
@pytest.mark.parametrize("cut", [cut_in_a_push, cut_in_a_run])
@pytest.mark.parametrize(
    ("way", "seed"),
    [(way, seed) for way in ("reset", "finish") for seed in range(2, 27)] + [("freeze", seed) for seed in range(1, 9)],
)
def test_a_cut_anywhere(sshd, tmp_path, fault, cut, way, seed):
    cut(sshd, tmp_path, fault, way, seed)


def cut_in_the_handshake(sshd, fault, way, seed):
    """Opening fails clearly, and works again later."""
    with proxied(sshd.port) as proxy, fault(f"tcp {way} in a handshake", seed, within_s=30):
        proxy.by, proxy.cut_after_bytes = way, random.Random(seed).randrange(3500)
        transport = SshTransport("box", [hop_to(sshd, port=proxy.port)], PinnedKeys(given={"box": sshd.host_key}))
        with suppress(DeviceUnreachable):
            transport.open(limit(10))
        transport.close()
        proxy.cut_after_bytes = None
        time.sleep(0.05)
        transport.open(limit(10))
        assert transport.run(["echo", "hi"], limit(10)).stdout == b"hi\n"
        transport.close()


@pytest.mark.parametrize("way", ["reset", "finish"])
@pytest.mark.parametrize("seed", range(4, 8))
def test_a_cut_in_the_handshake(sshd, fault, way, seed):
    cut_in_the_handshake(sshd, fault, way, seed)


@pytest.mark.chaos
@pytest.mark.parametrize("way", ["reset", "finish"])
@pytest.mark.parametrize("seed", range(8, 48))
def test_a_cut_anywhere_in_the_handshake(sshd, fault, way, seed):
    cut_in_the_handshake(sshd, fault, way, seed)


def test_a_server_that_falls_silent_is_noticed_before_a_far_deadline(sshd, fault, monkeypatch):
    """Even though its kernel still acknowledges what arrives."""
    monkeypatch.setattr(ssh_pulse, "BEAT_S", 0.2)
    with proxied(sshd.port) as proxy:
        waits = {
            "read": lambda transport, process, folder: process.read_line(limit(600)),
            "wait": lambda transport, process, folder: process.wait(limit(600)),
            "run": lambda transport, process, folder: transport.run(["true"], limit(600)),
        }
        proxy.by = "freeze"
        with opened(sshd, port=proxy.port) as transport:
            process = transport.start(["sleep", "1000"], limit())
            time.sleep(1)
            assert transport.connected
            proxy.cut()
            outcomes = {}

            def ask(name):
                with pytest.raises(DeviceUnreachable) as caught:
                    waits[name](transport, process, None)
                outcomes[name] = caught.value

            with fault("silent server", within_s=20):
                threads = [threading.Thread(target=ask, args=(name,)) for name in waits]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(20)
            assert outcomes.keys() == waits.keys()


def test_a_device_that_reboots(fault, tmp_path):
    """Everything on it is gone at once; it comes back on the same port with the same key."""
    with running_sshd() as server, opened(server) as transport:
        process = transport.start(["cat"], limit())
        with fault("reboot"):
            server.stop()
            with pytest.raises(DeviceUnreachable):
                process.read_line(limit(600))
            with pytest.raises(DeviceUnreachable):
                transport.run(["true"], limit(600))
            with pytest.raises(DeviceUnreachable, match="refused"):
                transport.open(limit())
            server.start()
            transport.open(limit())
            assert transport.run(["echo", "hi"], limit()).stdout == b"hi\n"


def test_a_host_key_that_changes(fault):
    """Between two sessions, and when a lost connection is made again: nothing is sent to the stranger."""
    with running_sshd() as server, opened(server) as transport:
        with fault("changed host key"):
            server.stop()
            server.change_host_key()
            server.start()
            with pytest.raises(DeviceUnreachable):
                transport.run(["true"], limit())
            for again in (transport, SshTransport("box", [hop_to(server)], PinnedKeys(given={"box": server.host_key}))):
                with pytest.raises(HostKeyError) as caught:
                    again.open(limit())
                assert caught.value.fingerprint.startswith("SHA256:")
                assert caught.value.remedy
        assert "Accepted" not in server.log()


def test_four_fifths_of_nothing(sshd, tmp_path, fault):
    """A connection that is cut again and again: every try ends, and one of them gets through."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(MIB))
    dice = random.Random(7)
    with proxied(sshd.port) as proxy, fault("tcp reset again and again", 7):
        for _ in range(50):
            transport = SshTransport("box", [hop_to(sshd, port=proxy.port)], PinnedKeys(given={"box": sshd.host_key}))
            proxy.cut_after_bytes = proxy.passed_bytes + dice.randrange(2 * MIB)
            try:
                transport.open(limit())
                transport.put(source, str(tmp_path / "target"), limit())
                break
            except DeviceUnreachable:
                continue
            finally:
                transport.close()
        assert (tmp_path / "target").read_bytes() == source.read_bytes()
