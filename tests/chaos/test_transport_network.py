"""Real TCP over a lossy, slow or dead network: a namespace of its own, whose packets the tests carry themselves."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.transports import ssh
from hwloop.devices.transports.ssh import Hop, SshTransport
from hwloop.devices.trust import PinnedKeys
from hwloop.errors import DeviceError, DeviceTimeout, DeviceUnreachable
from hwloop.testing.network import linked_namespace
from hwloop.testing.sshd import running_sshd
from hwloop.testing.waiting import alive, until

MIB = 1 << 20
LOST = (DeviceUnreachable, DeviceTimeout)
# Keep-alives ask every 10 s, and three unanswered ones are enough.
NOTICED_S = 45.0


def limit(seconds: float = 60.0) -> Deadline:
    return Deadline.after(seconds)


@pytest.fixture
def network(request):
    """A server in a namespace, and the link to it; the seed of its losses is the test's parameter."""
    with (
        linked_namespace(getattr(request, "param", 0)) as link,
        running_sshd(address=link.address, prefix=link.prefix) as server,
    ):
        yield link, server


def to(server, *before):
    hops = [Hop(f"hop{n}", s.host, s.port, s.user, (s.key_file,), use_agent=False) for n, s in enumerate(before)]
    given = {f"hop{n}": s.host_key for n, s in enumerate(before)} | {"box": server.host_key}
    hop = Hop("box", server.host, server.port, server.user, (server.key_file,), use_agent=False)
    return SshTransport("box", [*hops, hop], PinnedKeys(given=given))


@contextmanager
def opened(transport):
    try:
        transport.open(limit())
        yield transport
    finally:
        transport.close()


def push_and_run(server, folder, within_s):
    """Push 1 MiB and run commands; whatever comes back is right."""
    source = folder / "source"
    source.write_bytes(os.urandom(MIB))
    target = folder / "device" / "file"
    end = limit(within_s)
    transport = to(server)
    try:
        transport.open(end)
        transport.put(source, str(target), end)
        for number in range(5):
            assert transport.run(["echo", str(number)], end).stdout == b"%d\n" % number
        assert transport.get(str(target), end) == source.read_bytes()
        return True
    except LOST as error:
        assert error.remedy or isinstance(error, DeviceTimeout)
        return False
    finally:
        transport.close()
        assert not target.exists() or target.read_bytes() == source.read_bytes()


def test_a_slow_network_that_loses_some(network, tmp_path, fault):
    link, server = network
    link.weather.loss, link.weather.delay_s = 0.02, 0.01
    with fault("2 % packet loss, 20 ms round trip", 0):
        assert push_and_run(server, tmp_path, 60)


@pytest.mark.chaos
@pytest.mark.parametrize("network", range(1, 5), indirect=True, ids=lambda seed: f"seed{seed}")
@pytest.mark.parametrize("round_trip_s", [0.2, 0.4])
def test_a_fifth_of_the_packets_lost(network, tmp_path, fault, round_trip_s):
    link, server = network
    link.weather.loss, link.weather.delay_s = 0.2, round_trip_s / 2
    with fault(f"20 % packet loss, {round_trip_s * 1000:.0f} ms round trip", within_s=150):
        push_and_run(server, tmp_path, 120)
    assert link.lost
    link.weather.loss = link.weather.delay_s = 0
    assert push_and_run(server, tmp_path, 60)


@pytest.mark.chaos
def test_a_link_that_is_down_for_a_while(network, tmp_path, fault):
    """TCP and the keep-alives are patient for longer than that: nothing is lost."""
    link, server = network
    with opened(to(server)) as transport, fault("link down for 1 s"):
        process = transport.start(["cat"], limit())
        link.weather.cut = True
        threading.Timer(1, lambda: setattr(link.weather, "cut", False)).start()
        process.write(b"still there?\n", limit())
        assert process.read_line(limit()) == b"still there?"


def test_a_dead_link_holds_nobody_past_a_near_deadline(network, tmp_path, fault):
    link, server = network
    (tmp_path / "source").write_bytes(os.urandom(8 * MIB))
    with opened(to(server)) as transport:
        process = transport.start(["cat"], limit())
        link.weather.cut = True
        for act in (
            lambda end: process.read_line(end),
            lambda end: process.wait(end),
            lambda end: transport.run(["true"], end),
        ):
            with fault("blackhole, near deadline", within_s=10), pytest.raises(LOST):
                act(limit(0.4))
        with fault("blackhole, near deadline", within_s=10), pytest.raises(LOST):
            transport.put(tmp_path / "source", str(tmp_path / "target"), limit(0.4))


def assert_noticed(transport, link, folder, fault):
    """Cut the link; every kind of wait with a far deadline ends, and says why."""
    (folder / "source").write_bytes(os.urandom(64 * MIB))
    process = transport.start(["sleep", "1000"], limit())
    waits = {
        "read_line": lambda: process.read_line(limit(600)),
        "wait": lambda: process.wait(limit(600)),
        "write": lambda: process.write(bytes(64 * MIB), limit(600)),
        "run": lambda: transport.run(["sleep", "1000"], limit(600)),
        "put": lambda: transport.put(folder / "source", str(folder / "target"), limit(600)),
    }
    took_s: dict[str, float] = {}

    def ask(name):
        started_s = time.monotonic()
        with pytest.raises(DeviceError):
            waits[name]()
        took_s[name] = time.monotonic() - started_s

    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in waits]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    link.weather.cut = True
    with fault("blackhole, far deadline", within_s=NOTICED_S + 10):
        for thread in threads:
            thread.join(NOTICED_S + 10)
    assert took_s.keys() == waits.keys()
    assert max(took_s.values()) < NOTICED_S + 5, took_s


@pytest.mark.chaos
def test_a_peer_that_vanishes_is_noticed(network, tmp_path, fault):
    link, server = network
    link.weather.delay_s = 0.02
    with opened(to(server)) as transport:
        assert_noticed(transport, link, tmp_path, fault)


@pytest.mark.chaos
def test_a_peer_that_vanishes_behind_a_jump_host_is_noticed(network, tmp_path, fault):
    link, server = network
    link.weather.delay_s = 0.02
    with running_sshd() as gate, opened(to(server, gate)) as transport:
        assert_noticed(transport, link, tmp_path, fault)


@pytest.mark.chaos
def test_what_a_vanished_host_left_on_the_device_ends(network, tmp_path, fault, monkeypatch):
    """With no FIN to tell, the guard counts the silence; its server's end of the connection goes too."""
    monkeypatch.setattr(ssh, "GONE_S", 15)
    link, server = network
    pids, pushed = tmp_path / "pids", tmp_path / "device"
    (tmp_path / "source").write_bytes(os.urandom(64 * MIB))
    link.weather.delay_s = 0.02
    with opened(to(server)) as transport:
        script = 'setsid sh -c \'echo $$ >> "$0"; exec sleep 1000\' "$0" & echo $$ >> "$0"; exec sleep 1000'
        transport.start(["sh", "-c", script, str(pids)], limit())
        pushing = threading.Thread(target=lambda: push_until_lost(transport, tmp_path / "source", pushed / "file"))
        pushing.start()
        assert until(lambda: pids.exists() and len(pids.read_text().split()) == 2 and any(pushed.glob("*.part.*")))
        link.weather.cut = True
        with fault("host vanished", within_s=90):
            assert until(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()), 80)
            assert until(lambda: not any(pushed.glob("*")), 10)
        pushing.join(60)


def push_until_lost(transport, source, target):
    with pytest.raises(LOST):
        transport.put(source, str(target), limit(600))
