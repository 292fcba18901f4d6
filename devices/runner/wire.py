"""Lines in, lines out: one JSON object each."""

from __future__ import annotations

import json
import os
import select
from typing import Any

LONGEST_REQUEST_BYTES = 8 << 20
AT_ONCE_BYTES = 4096  # what a pipe that is ready takes without blocking (PIPE_BUF)


class Refused(Exception):
    """A request that the runner does not accept."""


class Lines:
    """Lines from a file descriptor, without a buffer that `select` cannot see.

    Of a line above `most_bytes` nothing is kept: an empty one comes in its place.
    """

    def __init__(self, fd: int, most_bytes: int | None = None) -> None:
        self.fd = fd
        self.most_bytes = most_bytes
        self.buffer = bytearray()
        self.searched = 0
        self.dropping = False
        self.ended = False

    @property
    def ready(self) -> bool:
        """Whether a whole line is here."""
        found = self.buffer.find(b"\n", self.searched)
        self.searched = len(self.buffer) if found < 0 else found
        return found >= 0

    def fill(self) -> None:
        """Read what is there; note the end."""
        data = os.read(self.fd, 1 << 16)
        self.ended = not data
        if self.dropping:
            _, newline, rest = data.partition(b"\n")
            self.dropping, data = not newline, newline + rest
        self.buffer += data
        if self.most_bytes is not None and len(self.buffer) > self.most_bytes and not self.ready:
            self.buffer.clear()
            self.searched, self.dropping = 0, True

    def next(self) -> bytes | None:
        """Return the next line, or None at the end of input."""
        while not self.ready:
            if self.ended:
                return None
            self.fill()
        line = bytes(self.buffer[: self.searched])
        del self.buffer[: self.searched + 1]
        self.searched = 0
        return line


def reply(fd: int, message: dict[str, Any]) -> None:
    """Write one JSON line."""
    data = memoryview((json.dumps(message) + "\n").encode())
    while data:
        data = data[os.write(fd, data) :]


def reply_in_time(fd: int, message: dict[str, Any], limit_s: float) -> None:
    """Write one JSON line; raise BrokenPipeError if nobody takes any of it for `limit_s`."""
    data = memoryview((json.dumps(message) + "\n").encode())
    watch = select.poll()
    watch.register(fd, select.POLLOUT)
    while data:
        if not watch.poll(int(limit_s * 1000)):
            raise BrokenPipeError("nobody reads the answer")
        data = data[os.write(fd, data[:AT_ONCE_BYTES]) :]


def parse(line: bytes) -> dict[str, Any]:
    """Return a request; refuse what is none."""
    try:
        request = json.loads(line.decode())
    except RecursionError:
        raise Refused("the request is nested too deeply")
    if not isinstance(request, dict) or not isinstance(request.get("op"), str):
        raise Refused("a request is a JSON object with the key 'op'")
    return request
