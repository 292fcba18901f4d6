"""A TCP proxy on loopback that cuts what passes through it, for tests."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BLOCK_BYTES = 1 << 14
ADDRESS = "127.0.0.1"
LOOK_S = 0.02
STUCK_S = 20.0
ABORT = struct.pack("ii", 1, 0)


class Proxy:
    """Passes connections on to a port of loopback.

    When `cut_after_bytes` have passed toward it, or `cut` is called, all connections end `by` one of: `reset` (RST),
    `finish` (FIN), `freeze` (nothing passes from then on, and nobody is told).
    """

    def __init__(self, port: int) -> None:
        self.cut_after_bytes: int | None = None
        self.by = "reset"
        self.passed_bytes = 0
        self._target = (ADDRESS, port)
        self._listener = socket.create_server((ADDRESS, 0))
        self.port = int(self._listener.getsockname()[1])
        self._other: dict[socket.socket, socket.socket] = {}
        self._toward: set[socket.socket] = set()
        self._cut, self._frozen, self._stopped = threading.Event(), False, threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True, name="hwloop-proxy")
        self._thread.start()

    def cut(self) -> None:
        """Cut every connection now; unless frozen, new ones are passed on."""
        self._cut.set()

    def close(self) -> None:
        """End everything."""
        self._stopped.set()
        self._thread.join(STUCK_S)
        for road in (*self._other, self._listener):
            road.close()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            if self.cut_after_bytes is not None and self.passed_bytes >= self.cut_after_bytes:
                self.cut_after_bytes = None
                self._cut.set()
            if self._cut.is_set():
                self._cut.clear()
                self._cut_all()
            ready = select.select([] if self._frozen else [self._listener, *self._other], [], [], LOOK_S)[0]
            for road in ready:
                if road is self._listener:
                    self._accept()
                elif road in self._other:
                    self._pass_on(road)

    def _accept(self) -> None:
        near = self._listener.accept()[0]
        try:
            far = socket.create_connection(self._target, STUCK_S)
        except OSError:
            near.close()
            return
        near.settimeout(STUCK_S)
        self._other |= {near: far, far: near}
        self._toward.add(near)

    def _pass_on(self, road: socket.socket) -> None:
        other = self._other[road]
        try:
            data = road.recv(BLOCK_BYTES)
            if road in self._toward:
                self.passed_bytes += len(data)
            if data:
                other.sendall(data)
                return
        except OSError:
            data = b""
        for ended in (road, other):
            self._other.pop(ended, None)
            self._toward.discard(ended)
            ended.close()

    def _cut_all(self) -> None:
        if self.by == "freeze":
            self._frozen = True
            return
        for road in self._other:
            if self.by == "reset":
                with suppress(OSError):
                    road.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            road.close()
        self._other.clear()
        self._toward.clear()


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Run a proxy to a port of loopback; it ends with the block."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
