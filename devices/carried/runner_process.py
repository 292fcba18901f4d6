"""A process of the runner beside this one: a JSON line in, a JSON line out."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hwloop.devices.runner.wire import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

STDERR_KEPT_BYTES = 4096


class Broken(Exception):
    """A process of the runner ended, was silent for too long, or refused a request."""


class RunnerProcess:
    """The runner in one of its roles; it ends with this process, whatever ends that."""

    def __init__(self, runner: str, words: Sequence[str]) -> None:
        self.errors = tempfile.TemporaryFile()
        # A session of its own: Ctrl-C is for the process that keeps what was measured.
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", runner, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            start_new_session=True,
        )
        assert self.process.stdout
        self.lines = Lines(self.process.stdout.fileno())
        self.lock = threading.Lock()

    def ask(self, request: dict[str, Any], limit_s: float) -> dict[str, Any]:
        """Send a request and return the reply.

        Raises:
            Broken: there is none within `limit_s`, or it is an error.
        """
        with self.lock:
            assert self.process.stdin
            with suppress(OSError):  # it has ended; what follows says so with its words
                self.process.stdin.write(json.dumps(request).encode() + b"\n")
                self.process.stdin.flush()
            return self.hear(limit_s)

    def hear(self, limit_s: float) -> dict[str, Any]:
        """Return the next reply; errors as for `ask`."""
        watch = select.poll()
        watch.register(self.lines.fd, select.POLLIN)
        end = time.monotonic() + limit_s
        while not self.lines.ready and not self.lines.ended:
            left_s = end - time.monotonic()
            if left_s <= 0 or not watch.poll(left_s * 1000):
                raise Broken("it did not answer within %.0f s" % limit_s)
            self.lines.fill()
        line = self.lines.next()
        if line is None:
            raise Broken(("it ended without an answer. %s" % self.last_words()).strip())
        reply: dict[str, Any] = json.loads(line.decode())
        if "error" in reply:
            raise Broken(str(reply["error"]["message"]))
        return reply

    def last_words(self) -> str:
        """Return the end of its standard error."""
        size = os.fstat(self.errors.fileno()).st_size
        kept = min(size, STDERR_KEPT_BYTES)
        return os.pread(self.errors.fileno(), kept, size - kept).decode(errors="replace").strip()

    def close(self) -> None:
        """End it, and what it runs; safe to call twice."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with suppress(OSError):  # what was written last never arrived, and nobody waits for it
                stream.close()  # type: ignore[union-attr]
