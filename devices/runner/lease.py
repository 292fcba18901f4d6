"""The lease of this device: whoever has bound one abstract socket may measure here.

The kernel frees it when its holder ends, however that happens; nothing stands on the disk, and every user of this
machine sees it. The holder tells who asks for whom it holds the lease; those who wait stay connected, and so wake up
when it ends. Processes that measure are connected as members, and end with it.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import struct
import time
from typing import Any

from .wire import Refused

EXPIRES_S = 60.0  # without a word from the host
MOST_CLIENTS = 64
MOST_BYTES = 4096  # of a client's one line
ANSWER_S = 5.0
TURN_S = 0.1  # between those who wait, when the lease gets free


def address_of(identity: str) -> str:
    """Return the socket's name; emulated boards share a kernel with their host, so each has its own.

    It ends in a zero byte: to a name that does not, QEMU's user mode may or may not add one.
    """
    return "\0hwloop-lease-" + identity + "\0"


class Client:
    """Somebody who is connected to the holder."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.heard = b""
        self.waits = False

    def tell(self, message: dict[str, Any]) -> bool:
        """Send one line; False if it does not go through at once."""
        try:
            line = (json.dumps(message) + "\n").encode()
            return self.connection.send(line) == len(line)
        except OSError:
            return False

    @property
    def uid(self) -> int:
        """The user at the other end, as the kernel knows it."""
        found = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", found)[1])


class Holder:
    """A lease that is held by this process; it must be served whenever one of its files is ready."""

    def __init__(self, server: socket.socket, owner: dict[str, Any], token: str) -> None:
        self.server = server
        self.owner = owner
        self.token = token
        self.since = time.monotonic()
        self.heard_at = self.since
        self.clients: dict[int, Client] = {}
        self.revoked_by: int | None = None

    @property
    def expired(self) -> bool:
        """Whether the host was silent for too long, or somebody took the lease away."""
        return self.revoked_by is not None or time.monotonic() - self.heard_at > EXPIRES_S

    def beat(self) -> None:
        """Note that the host lives."""
        self.heard_at = time.monotonic()

    def files(self) -> list[int]:
        """Return what must be watched for input."""
        return [self.server.fileno(), *self.clients]

    def serve(self, ready: int) -> None:
        """Serve one ready file; nothing that a client does or leaves undone can stop this."""
        if ready == self.server.fileno():
            self.welcome()
        elif ready in self.clients:
            self.listen(self.clients[ready])

    def welcome(self) -> None:
        """Take a client in, unless there are too many."""
        try:
            connection, _ = self.server.accept()
        except OSError:
            return
        connection.setblocking(False)
        if len(self.clients) >= MOST_CLIENTS:
            connection.close()
        else:
            self.clients[connection.fileno()] = Client(connection)

    def listen(self, client: Client) -> None:
        """Read what a client says; its one line is answered."""
        try:
            data = client.connection.recv(MOST_BYTES)
        except OSError:
            data = b""
        client.heard += data
        answered = bool(data) and len(client.heard) <= MOST_BYTES
        if answered and b"\n" in client.heard:
            answered = self.answer(client, client.heard.split(b"\n")[0].decode(errors="replace").split(" "))
            client.heard = b""
        if not answered:
            self.drop(client)

    def answer(self, client: Client, words: list[str]) -> bool:
        """Answer a client; False if it shall be dropped."""
        if words == ["member", self.token]:
            return True
        if words == ["who"]:
            client.waits = True
            return client.tell(self.card())
        if words == ["revoke"]:
            if client.uid not in (0, os.geteuid()):
                return client.tell({"refused": "it is held by another user of this device"})
            client.tell({"revoked": True})
            self.revoked_by = client.uid
        return False

    def card(self) -> dict[str, Any]:
        """Return who holds the lease, for how long, and how many wait for it."""
        now = time.monotonic()
        waiting = sum(client.waits for client in self.clients.values())
        return {"owner": self.owner, "held_s": now - self.since, "silent_s": now - self.heard_at, "place": waiting}

    def drop(self, client: Client) -> None:
        """Hang up on a client."""
        self.clients.pop(client.connection.fileno(), None)
        client.connection.close()

    def close(self) -> None:
        """Give the lease up; members and those who wait notice at once."""
        self.server.close()
        for client in list(self.clients.values()):
            self.drop(client)


class Door:
    """This process's way to the lease: to take it, to wait for it, to ask who has it."""

    def __init__(self, identity: str) -> None:
        self.address = address_of(identity)
        self.waiting: socket.socket | None = None
        self.place = 0

    def take(self, owner: dict[str, Any], token: str) -> Holder | None:
        """Return the lease, or None where somebody has it."""
        server = socket.socket(socket.AF_UNIX)
        try:
            server.bind(self.address)
            server.listen(MOST_CLIENTS)
        except OSError as error:
            server.close()
            if error.errno != errno.EADDRINUSE:
                raise
            return None
        server.setblocking(False)
        self.leave()
        return Holder(server, owner, token)

    def ask(self) -> dict[str, Any] | None:
        """Return the holder's card and stay in the queue; None if nobody holds the lease now."""
        self.leave()
        try:
            self.waiting = self.call("who")
            card = self.hear(self.waiting)
        except OSError:
            self.leave()
            return None
        self.place = int(card["place"]) if "place" in card else 1
        return card

    def revoke(self) -> dict[str, Any]:
        """Ask the holder to end; return its answer."""
        try:
            connection = self.call("revoke")
        except OSError:
            return {}
        with connection:
            return self.hear(connection)

    def call(self, words: str) -> socket.socket:
        """Connect to the holder and send one line."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_S)
        try:
            connection.connect(self.address)
            connection.sendall(words.encode() + b"\n")
        except OSError:
            connection.close()
            raise
        return connection

    def hear(self, connection: socket.socket) -> dict[str, Any]:
        """Return the holder's one line; a holder that is busy is one without a name."""
        heard = b""
        try:
            while not heard.endswith(b"\n") and len(heard) < MOST_BYTES:
                data = connection.recv(MOST_BYTES)
                if not data:
                    raise ConnectionResetError
                heard += data
            card = json.loads(heard.decode())
        except (socket.timeout, ValueError):
            return {}
        return card if isinstance(card, dict) else {}

    def wait(self, seconds: float) -> None:
        """Return when the holder ends, in the order of the queue, or after some seconds."""
        if self.waiting is None:
            return
        watch = select.poll()
        watch.register(self.waiting, select.POLLIN)
        if watch.poll(int(seconds * 1000)):
            self.leave()
            time.sleep(min(1.0, TURN_S * max(0, self.place - 1)))

    def leave(self) -> None:
        """Leave the queue."""
        if self.waiting is not None:
            self.waiting.close()
            self.waiting = None


def join(lease: str) -> socket.socket:
    """Return a member's connection to the holder of a lease, named IDENTITY-TOKEN; it hangs up when the lease ends."""
    identity, _, token = lease.partition("-")
    try:
        return Door(identity).call("member " + token)
    except OSError as error:
        raise Refused("the lease is gone: %s" % error)
