"""What a command prints, drained by a thread into bounded memory, so that a reader can wait with a deadline."""

from __future__ import annotations

import threading
from collections import deque

from hwloop.deadline import Deadline

STDERR_KEPT_BYTES = 1 << 16
# The outputs of a model come as one line of base64; it and its copies must fit into the host's memory.
MOST_LINE_BYTES = 256 << 20
# Whole lines that nobody has read: what comes beyond waits in the device's pipe.
MOST_UNREAD_BYTES = 16 << 20
MOST_OUTPUT_BYTES = 256 << 20
PER_LINE_BYTES = 64


class TooMuch(Exception):
    """A command printed more than is kept; the message says of what."""


class LineBuffer:
    """Bytes that one thread feeds and another reads line by line; the feeder waits while too many are unread."""

    def __init__(self, most_line_bytes: int = MOST_LINE_BYTES, most_unread_bytes: int = MOST_UNREAD_BYTES) -> None:
        self._most_line_bytes = most_line_bytes
        self._most_unread_bytes = most_unread_bytes
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._rest = bytearray()
        self._unread_bytes = 0
        self._ended = self._overfull = False

    def feed(self, data: bytes) -> None:
        """Add bytes as they come; wait while there is no room. What comes after the end is dropped.

        Raises:
            TooMuch: a line became too long.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._unread_bytes < self._most_unread_bytes or self._ended)
            if self._ended:
                return
            self._rest += data
            if b"\n" in data:
                *lines, rest = bytes(self._rest).split(b"\n")
                self._rest = bytearray(rest)
                self._lines += lines
                self._unread_bytes += sum(map(len, lines)) + PER_LINE_BYTES * len(lines)
            if len(self._rest) > self._most_line_bytes:
                self._rest.clear()
                self._ended = self._overfull = True
            self._changed.notify_all()
        if self._overfull:
            raise TooMuch(self._too_long())

    def end(self) -> None:
        """Say that nothing follows; an unfinished last line counts as one."""
        with self._changed:
            if not self._ended and self._rest:
                self._lines.append(bytes(self._rest))
            self._rest.clear()
            self._ended = True
            self._changed.notify_all()

    def read_line(self, deadline: Deadline) -> bytes | None:
        """Return the next line, or None when the deadline passes.

        Raises:
            EOFError: the stream ended.
            TooMuch: the next line is too long to be kept.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._ended, deadline.remaining_s)
            if self._lines:
                line = self._lines.popleft()
                self._unread_bytes -= len(line) + PER_LINE_BYTES
                self._changed.notify_all()
                return line
            if self._overfull:
                raise TooMuch(self._too_long())
            if self._ended:
                raise EOFError
            return None

    def _too_long(self) -> str:
        return f"a line of more than {self._most_line_bytes >> 20} MiB"


class Collected:
    """A whole stream, up to a limit."""

    def __init__(self, most_bytes: int = MOST_OUTPUT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes as they come.

        Raises:
            TooMuch: there is no room for them.
        """
        if len(self._data) + len(data) > self._most_bytes:
            raise TooMuch(f"more than {self._most_bytes >> 20} MiB")
        self._data += data

    def value(self) -> bytes:
        """Return everything that came."""
        return bytes(self._data)


class Tail:
    """The last bytes of a stream."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._data = b""

    def feed(self, data: bytes) -> None:
        """Add bytes; forget the oldest."""
        with self._lock:
            self._data = (self._data + data)[-STDERR_KEPT_BYTES:]

    def text(self) -> str:
        """Return what is kept as text."""
        with self._lock:
            return self._data.decode(errors="replace")
