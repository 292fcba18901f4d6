"""Logs in to an SSH server with the user's keys."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import paramiko
from paramiko.agent import AgentSSH

from hwloop.deadline import Deadline
from hwloop.devices.transports.ssh_config import Hop
from hwloop.devices.transports.ssh_connect import within
from hwloop.devices.transports.ssh_connection import Connection
from hwloop.devices.trust import fingerprint


def log_in(hop: Hop, connection: Connection, deadline: Deadline) -> None:
    """Try the key files, then the agent's keys, until the server accepts one.

    Raises:
        paramiko.AuthenticationException: it accepts none; the message names what was tried.
        TimeoutError: the server or the agent does not answer.
        EOFError: the connection was lost.
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
    path = os.environ.get("SSH_AUTH_SOCK", "") if hop.use_agent else ""
    if not path:
        yield ()
        return
    wanted = {_public_half(path) for path in hop.key_files}
    # paramiko's own Agent waits without a limit.
    with socket.socket(socket.AF_UNIX) as road:
        road.settimeout(max(deadline.remaining_s, 0.001))
        try:
            road.connect(path)
        except (FileNotFoundError, ConnectionRefusedError, PermissionError):
            yield ()
            return
        agent = AgentSSH()
        within(deadline, lambda: agent._connect(road))  # type: ignore[attr-defined]
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
        if not connection.is_active() and not connection.farewell:
            raise EOFError from error
        if not connection.is_active():
            message = f"it hung up after {len(tried) + 1} keys; set `key_file`, and IdentitiesOnly in ~/.ssh/config"
            raise paramiko.AuthenticationException(message) from error
        return False
    return connection.is_authenticated()
