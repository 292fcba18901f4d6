"""Lines in, lines out: one JSON object each."""

from __future__ import annotations

import json
import os
from typing import Any

LONGEST_LINE_BYTES = 64 << 20


class Refused(Exception):
    """A request that the runner does not accept."""


class Lines:
    """Requests from a file descriptor, without a buffer that `select` cannot see."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.buffer = b""
        self.ended = False

    def fill(self) -> None:
        """Read what is there; note the end. A line without end is one."""
        data = os.read(self.fd, 1 << 16) if len(self.buffer) <= LONGEST_LINE_BYTES else b""
        if not data:
            self.ended = True
        self.buffer += data

    def next(self) -> bytes | None:
        """Return the next line, or None at the end of input."""
        while b"\n" not in self.buffer:
            if self.ended:
                return None
            self.fill()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line


def reply(fd: int, message: dict[str, Any]) -> None:
    """Write one JSON line."""
    data = memoryview((json.dumps(message) + "\n").encode())
    while data:
        data = data[os.write(fd, data) :]


def parse(line: bytes) -> dict[str, Any]:
    """Return a request; refuse what is none."""
    request = json.loads(line.decode())
    if not isinstance(request, dict) or not isinstance(request.get("op"), str):
        raise Refused("a request is a JSON object with the key 'op'")
    return request
