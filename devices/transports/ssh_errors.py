"""The one place where what paramiko and sockets raise becomes our own exceptions."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko

from hwloop.deadline import Deadline
from hwloop.errors import DeviceError, DeviceRefused, DeviceTimeout, DeviceUnreachable

TRY_AGAIN = "Check that it is on, reachable and runs an SSH server; then run the command again."
NEW_KEY = "Add this host's public key to ~/.ssh/authorized_keys there, or set `key_file` (and `user`) in devices.yaml."


# What paramiko raises for messages that are none.
GARBAGE = (ValueError, IndexError, struct.error)


@contextmanager
def translated(device: str, doing: str, deadline: Deadline, *, connecting: bool = False) -> Iterator[None]:
    """Turn errors of the block into DeviceErrors, the most specific first; `doing` begins the message.

    While `connecting`, no answer in time means that the device is unreachable.
    """
    try:
        yield
    except (paramiko.SSHException, OSError, EOFError, *GARBAGE) as error:
        raise _translation(device, doing, error, late=deadline.expired, connecting=connecting) from error


def _translation(device: str, doing: str, error: Exception, *, late: bool, connecting: bool) -> DeviceError:
    words = str(error).strip()
    if isinstance(error, paramiko.AuthenticationException):
        return DeviceRefused(device, f"{doing}: the login was refused; {words}", remedy=NEW_KEY)
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return DeviceUnreachable(device, f"{doing}: it offers no cryptography that is still safe ({words})", remedy=OLD)
    if isinstance(error, paramiko.ChannelException) and connecting:
        return DeviceUnreachable(device, f"{doing}: the jump host cannot reach it ({error.text})", remedy=JUMP)
    if isinstance(error, paramiko.ChannelException):
        return DeviceUnreachable(device, f"{doing}: no further session ({error.text})", remedy=SESSIONS)
    if isinstance(error, socket.gaierror):
        remedy = "Check `host` in devices.yaml."
        return DeviceUnreachable(device, f"{doing}: the name is not known ({error.strerror})", remedy=remedy)
    if isinstance(error, TimeoutError) or late:
        kind = DeviceUnreachable if connecting else DeviceTimeout
        return kind(device, f"{doing}: no answer in time", remedy=TRY_AGAIN)
    if isinstance(error, OSError):
        return DeviceUnreachable(device, f"{doing}: {error.strerror or words}", remedy=TRY_AGAIN)
    if isinstance(error, GARBAGE):
        words = f"it broke the protocol ({words})"
    return DeviceUnreachable(device, f"{doing}: {words or 'the connection was closed'}", remedy=TRY_AGAIN)


OLD = "Update its SSH server."
JUMP = "Check `host` and `port`, and that the jump host allows TCP forwarding (AllowTcpForwarding)."
SESSIONS = "Raise MaxSessions in its /etc/ssh/sshd_config (the default is 10)."
