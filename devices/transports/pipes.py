"""Lines out of a stream that a thread drains, so that a reader can wait with a deadline."""

from __future__ import annotations

import threading
from collections import deque

from hwloop.deadline import Deadline

STDERR_KEPT_BYTES = 1 << 16


class LineBuffer:
    """Bytes that one thread feeds and another reads line by line."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._rest: list[bytes] = []
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Add bytes as they come."""
        with self._changed:
            first, *others = data.split(b"\n")
            self._rest.append(first)
            for part in others:
                self._lines.append(b"".join(self._rest))
                self._rest = [part]
            self._changed.notify_all()

    def end(self) -> None:
        """Say that nothing follows; an unfinished last line counts as one."""
        with self._changed:
            if not self._ended and any(self._rest):
                self._lines.append(b"".join(self._rest))
            self._ended = True
            self._changed.notify_all()

    def read_line(self, deadline: Deadline) -> bytes | None:
        """Return the next line, or None when the deadline passes.

        Raises:
            EOFError: the stream ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._ended, deadline.remaining_s)
            if self._lines:
                return self._lines.popleft()
            if self._ended:
                raise EOFError
            return None


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
