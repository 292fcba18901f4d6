"""Servers that are none, and agents that do not answer: opening ends by its deadline, with what to do."""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.transports.ssh import Hop, SshTransport, fetch_host_key
from hwloop.devices.trust import PinnedKeys
from hwloop.errors import DeviceUnreachable
from hwloop.testing.sshd import running_sshd

KEX_INIT = 20
HELLO = b"SSH-2.0-OpenSSH_9.2p1\r\n"


@contextmanager
def listener(serve, family=socket.AF_INET, address=("127.0.0.1", 0)):
    """Run `serve(road, ended)` for each connection; gives the address."""
    ended = threading.Event()
    threads = []
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()
        server.settimeout(0.05)

        def accept():
            while not ended.is_set():
                with suppress(TimeoutError):
                    road = server.accept()[0]
                    threads.append(threading.Thread(target=talk, args=(road,)))
                    threads[-1].start()

        def talk(road):
            with road, suppress(OSError):
                serve(road, ended)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server.getsockname()
        finally:
            ended.set()
            for thread in [accepting, *threads]:
                thread.join(10)


def silent(road, ended):
    ended.wait(30)


def trickling(road, ended):
    for byte in HELLO * 1000:
        if ended.wait(0.1):
            return
        road.sendall(bytes([byte]))


def greeting_forever(road, ended):
    """What comes before the version is for the user, says the RFC, and sets no limit."""
    while not ended.wait(0.01):
        road.sendall(b"patience, please\r\n")


def greeting_then_silent(road, ended):
    road.sendall(HELLO)
    ended.wait(30)


def never_ending_line(road, ended):
    while not ended.is_set():
        road.sendall(b"x" * 4096)


def hanging_up(road, ended):
    road.sendall(b"SSH-2.0-")


def garbage(seed):
    """After a right greeting: noise, or packets whose frame is right and whose content is noise."""

    def serve(road, ended):
        dice = random.Random(seed)
        road.sendall(HELLO)
        for _ in range(20):
            noise = dice.randbytes(dice.randrange(400))
            if dice.random() < 0.8:
                body = bytes([dice.choice((KEX_INIT, KEX_INIT, dice.randrange(256)))]) + noise
                padding = 8 - (len(body) + 5) % 8 + 8
                noise = struct.pack(">IB", len(body) + padding + 1, padding) + body + bytes(padding)
            road.sendall(noise)
            if ended.wait(0.01):
                return

    return serve


def error_of(port, within_s, hops=()):
    transport = SshTransport("box", [*hops, Hop("box", "127.0.0.1", port, "user", (), use_agent=False)], PinnedKeys())
    try:
        with pytest.raises(DeviceUnreachable) as caught:
            transport.open(Deadline.after(within_s))
    finally:
        transport.close()
    assert caught.value.remedy
    return str(caught.value)


SERVERS = (silent, trickling, greeting_forever, greeting_then_silent, never_ending_line, hanging_up)


@pytest.mark.parametrize("serve", SERVERS, ids=lambda serve: serve.__name__)
def test_a_server_that_is_none(serve, fault):
    with listener(serve) as (_, port), fault(f"banner: {serve.__name__}", within_s=10):
        error_of(port, within_s=0.4)


def check_behind_a_jump_host(serve, fault):
    with running_sshd() as gate, listener(serve) as (_, port), fault(f"banner: {serve.__name__}", within_s=15):
        hop = Hop("gate", gate.host, gate.port, gate.user, (gate.key_file,), use_agent=False)
        last = Hop("box", "127.0.0.1", port, "user", (), use_agent=False)
        transport = SshTransport("box", [hop, last], PinnedKeys(given={"gate": gate.host_key}))
        with pytest.raises(DeviceUnreachable):
            transport.open(Deadline.after(1.5))
        transport.close()


def test_a_server_that_is_none_behind_a_jump_host(fault):
    check_behind_a_jump_host(never_ending_line, fault)


@pytest.mark.chaos
@pytest.mark.parametrize("serve", SERVERS, ids=lambda serve: serve.__name__)
def test_any_server_that_is_none_behind_a_jump_host(serve, fault):
    check_behind_a_jump_host(serve, fault)


def check_garbage(seed, fault):
    with listener(garbage(seed)) as (_, port), fault("banner: garbage", seed, within_s=10):
        error_of(port, within_s=1)
        with pytest.raises(DeviceUnreachable):
            fetch_host_key("box", [Hop("box", "127.0.0.1", port, "u")], PinnedKeys(), Deadline.after(1))


@pytest.mark.parametrize("seed", range(3))
def test_a_server_that_talks_garbage(seed, fault):
    check_garbage(seed, fault)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(3, 103))
def test_a_server_that_talks_any_garbage(seed, fault):
    check_garbage(seed, fault)


def trickling_agent(road, ended):
    road.recv(100)
    road.sendall(struct.pack(">I", 1000))
    while not ended.wait(0.2):
        road.sendall(b"\0")


def garbled_agent(road, ended):
    road.recv(100)
    road.sendall(struct.pack(">IBI", 40, 12, 3) + os.urandom(35))
    ended.wait(5)


@pytest.mark.parametrize("serve", [silent, trickling_agent, garbled_agent, hanging_up], ids=lambda it: it.__name__)
def test_an_agent_that_does_not_answer(serve, fault, monkeypatch, tmp_path):
    with running_sshd() as server, listener(serve, socket.AF_UNIX, str(tmp_path / "agent")) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        hop = Hop("box", server.host, server.port, server.user)
        transport = SshTransport("box", [hop], PinnedKeys(given={"box": server.host_key}))
        started_s = time.monotonic()
        with fault(f"agent: {serve.__name__}", within_s=15), pytest.raises(DeviceUnreachable):
            transport.open(Deadline.after(1))
        assert time.monotonic() - started_s < 15
        transport.close()
