"""One SSH server: dialled, agreed on keys with, logged in to."""

from __future__ import annotations

import base64
import logging
import signal
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import paramiko
from paramiko import common
from paramiko.agent import AgentSSH, get_agent_connection

from hwloop.deadline import Deadline
from hwloop.devices.transports.ssh_config import Hop
from hwloop.devices.trust import fingerprint

KEEPALIVE_S = 10
DEAD_AFTER_S = 30
WINDOW_BYTES = 1 << 24
NO_STATUS = -(1 << 16)
UNKNOWN_SIGNAL = 128
# AEAD first: one pass over the data where the others take two. No SHA-1, no CBC, no DSA.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
DIGESTS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
# paramiko logs what it raises as well; a library's log is not for the user's terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def _note_request(channel: paramiko.Channel, message: paramiko.Message) -> None:
    """Keep the signal that ended a command as a negative status; paramiko drops it."""
    kind = message.get_text()
    if kind == "exit-signal":
        message.get_boolean()
        number = getattr(signal, f"SIG{message.get_text()}", UNKNOWN_SIGNAL)
        channel.exit_status = -int(number)
        channel.status_event.set()
        return
    message.rewind()
    message.get_int()
    channel._handle_request(message)  # type: ignore[attr-defined]


class Connection(paramiko.Transport):
    """paramiko's connection with two of its gaps closed.

    It tells by which signal a command ended (128: one without a name). And it sends nothing on a channel after its
    end: a write that crosses the server's own end made OpenSSH hang up on the whole connection.
    """

    _channel_handler_table = {  # noqa: RUF012
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        common.MSG_CHANNEL_REQUEST: _note_request,
    }

    def __init__(self, road: socket.socket | paramiko.Channel) -> None:
        self._ended: set[bytes] = set()
        super().__init__(road, default_window_size=WINDOW_BYTES)

    def open_channel(self, *args: Any, **kwargs: Any) -> paramiko.Channel:
        """Open a channel; the server may give it the number of one that ended."""
        channel = super().open_channel(*args, **kwargs)
        self._ended.discard(struct.pack(">I", channel.remote_chanid))
        return channel

    def _send_message(self, data: paramiko.Message) -> None:
        # paramiko calls this for channels under a lock, so the order here is the order on the wire.
        sent = data.asbytes()
        kind, number = sent[0], sent[1:5]
        if common.MSG_CHANNEL_WINDOW_ADJUST <= kind <= common.MSG_CHANNEL_REQUEST:
            if number in self._ended:
                return
            if kind == common.MSG_CHANNEL_CLOSE:
                self._ended.add(number)
        super()._send_message(data)  # type: ignore[misc]


def dial(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Return a TCP connection that notices a dead peer within half a minute.

    Raises:
        OSError: none of the host's addresses answers.
    """
    found = _addresses(host, port, deadline)
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
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            road.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_S * 1000)
        return road
    raise failure


def _addresses(host: str, port: int, deadline: Deadline) -> list[Any]:
    """Look a name up in a thread, for that knows no time-out: it is left to itself when the time is up."""
    outcomes: list[list[Any] | OSError] = []

    def look_up() -> None:
        try:
            outcomes.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            outcomes.append(error)

    worker = threading.Thread(target=look_up, daemon=True)
    worker.start()
    worker.join(deadline.remaining_s)
    outcome = outcomes[0] if outcomes else TimeoutError()
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


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
    try:
        connection.start_client(timeout=limit_s)
        # It returns when the time is up, too.
        if not connection.initial_kex_done:
            raise TimeoutError
    except BaseException:
        hang_up([connection])
        road.close()
        raise
    connection.set_keepalive(KEEPALIVE_S)
    return connection


def hang_up(chain: Sequence[paramiko.Transport], patience_s: float = 5.0) -> None:
    """Close connections, the outermost first: the inner ones have nothing left to wait for then."""
    for connection in chain:
        connection.close()
    for connection in chain:
        if connection.is_alive():
            connection.join(patience_s)


def log_in(hop: Hop, connection: Connection, deadline: Deadline) -> None:
    """Try the key files, then the agent's keys, until the server accepts one.

    Raises:
        paramiko.AuthenticationException: it accepts none; the message names what was tried.
        TimeoutError: the server or the agent does not answer.
    """
    tried: list[str] = []
    for path in hop.key_files:
        key, flaw = _load(path)
        if key and _accepted(hop, connection, key, deadline, tried):
            return
        tried.append(f"{path}{flaw}")
    with _agent_keys(hop, deadline) as keys:
        for key in keys:
            if _accepted(hop, connection, key, deadline, tried):
                return
            tried.append(f"the agent's {fingerprint(key)}")
    raise paramiko.AuthenticationException(
        f"{hop.user} was refused with {', '.join(tried) or 'no key, for none was found'}"
    )


def _load(path: Path) -> tuple[paramiko.PKey | None, str]:
    try:
        return paramiko.PKey.from_path(str(path)), ""
    except OSError as error:
        return None, f" ({error.strerror})"
    except (paramiko.SSHException, ValueError, TypeError):
        return None, " (unreadable, or with a passphrase: give it to your agent with ssh-add)"


@contextmanager
def _agent_keys(hop: Hop, deadline: Deadline) -> Iterator[Sequence[paramiko.PKey]]:
    """Give the keys of this user's agent, if there is one; an agent that does not answer raises TimeoutError."""
    road = get_agent_connection() if hop.use_agent else None
    if road is None:
        yield ()
        return
    wanted = {_public_half(path) for path in hop.key_files}
    with closing(road):
        # paramiko's own Agent waits without a limit.
        road.settimeout(max(deadline.remaining_s, 0.001))
        agent = AgentSSH()
        agent._connect(road)  # type: ignore[attr-defined]
        yield [key for key in agent.get_keys() if not hop.identities_only or key.asbytes() in wanted]


def _public_half(path: Path) -> bytes:
    """Return the key in `path`.pub, as the agent would show it; b"" if there is none."""
    try:
        return base64.b64decode(Path(f"{path}.pub").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return b""


def _accepted(hop: Hop, connection: Connection, key: paramiko.PKey, deadline: Deadline, tried: Sequence[str]) -> bool:
    connection.auth_timeout = max(deadline.remaining_s, 0.001)
    try:
        connection.auth_publickey(hop.user, key)
    except paramiko.AuthenticationException as error:
        if deadline.expired:
            raise TimeoutError from error
        if not connection.is_active():
            message = f"it hung up after {len(tried) + 1} keys; set `key_file`, and IdentitiesOnly in ~/.ssh/config"
            raise paramiko.AuthenticationException(message) from error
        return False
    return connection.is_authenticated()
