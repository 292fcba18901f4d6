"""The way to an SSH server: dialled, and agreed on keys with."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import paramiko

from hwloop.deadline import Deadline
from hwloop.devices.transports.ssh_connection import Connection
from hwloop.devices.transports.ssh_errors import GARBAGE

DEAD_AFTER_S = 30
UNSENT_BYTES = 1 << 17
LOOK_S = 0.1
# AEAD first: one pass over the data where the others take two. No SHA-1, no CBC, no DSA.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
DIGESTS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
Answer = TypeVar("Answer")


def dial(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Return a TCP connection that notices a dead peer within half a minute.

    Raises:
        OSError: none of the host's addresses answers.
    """
    found = within(deadline, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    failure: OSError = TimeoutError()
    for number, (family, kind, protocol, _, address) in enumerate(found):
        share_s = deadline.remaining_s / (len(found) - number)
        road = socket.socket(family, kind, protocol)
        try:
            road.settimeout(max(share_s, 0.001))
            road.connect(address)
        except OSError as error:
            road.close()
            failure = error
            continue
        road.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # What waits in the kernel for a slow line cannot be overtaken by a question whether the peer lives.
            road.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            road.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_S * 1000)
        return road
    raise failure


def within(deadline: Deadline, ask: Callable[[], Answer]) -> Answer:
    """Return what `ask` returns; it has no time-out of its own, and is left to itself when the time is up.

    Raises:
        TimeoutError: the time is up.
        OSError, paramiko.SSHException, ValueError: what `ask` raised.
    """
    outcomes: list[Answer] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            outcomes.append(ask())
        except (OSError, paramiko.SSHException, *GARBAGE) as error:
            errors.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(deadline.remaining_s)
    if not outcomes:
        raise errors[0] if errors else TimeoutError()
    return outcomes[0]


def shake_hands(
    road: socket.socket | paramiko.Channel, deadline: Deadline, pinned_types: Sequence[str] = ()
) -> Connection:
    """Agree on keys with the SSH server at the end of a road, which is closed on failure.

    A host key of one of `pinned_types` is asked for first.

    Raises:
        paramiko.SSHException: the server is none, or offers nothing that is safe.
        TimeoutError: it does not answer.
    """
    connection = Connection(road)
    offered = connection.get_security_options()
    offered.ciphers = [name for name in CIPHERS if name in offered.ciphers]
    offered.digests = [name for name in DIGESTS if name in offered.digests]
    wanted = [name for pinned in pinned_types for name in SIGNATURES.get(pinned, (pinned,))]
    offered.key_types = sorted(offered.key_types, key=lambda name: name not in wanted)
    limit_s = max(deadline.remaining_s, 0.001)
    connection.banner_timeout = connection.handshake_timeout = limit_s
    agreed = threading.Event()
    try:
        # With an event it leaves the waiting to us: its own is by the wall clock, which may jump.
        connection.start_client(event=agreed)
        while connection.is_active() and not agreed.wait(min(deadline.remaining_s, LOOK_S)) and not deadline.expired:
            pass
        if not connection.initial_kex_done:
            raise _cause(connection)
    except BaseException:
        hang_up([connection])
        road.close()
        raise
    return connection


def _cause(connection: Connection) -> Exception:
    """Return why a handshake did not come about; what garbage makes paramiko stumble over can be of any class."""
    error = connection.get_exception()
    if error is None:
        return TimeoutError() if connection.is_active() else EOFError(connection.farewell)
    known = isinstance(error, (paramiko.SSHException, OSError, EOFError))
    return error if known else paramiko.SSHException(f"it broke the protocol ({error})")


def hang_up(chain: Sequence[paramiko.Transport], patience_s: float = 5.0) -> None:
    """Close connections, the outermost first: the inner ones have nothing left to wait for then."""
    for connection in chain:
        connection.close()
    for connection in chain:
        if connection.is_alive():
            connection.join(patience_s)
