"""A network of two, for tests: this machine, and a namespace whose packets can be delayed, lost, or kept.

It needs root and Linux. The link is a pair of TUN devices; a thread carries the packets between them.
"""

from __future__ import annotations

import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

HERE, THERE = "198.18.0.1", "198.18.0.2"  # RFC 2544: for tests of networks, never routed
MTU_BYTES = 1400
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
SETTLE_S = 10.0
QUEUE_PACKETS = 1000


@dataclass
class Weather:
    """What happens to packets, each way; it may be changed at any time. `cut` keeps all of them."""

    loss: float = 0.0
    delay_s: float = 0.0
    cut: bool = False


class Link:
    """A link to a namespace, in which `prefix` runs a command; `address` is its side's."""

    address = THERE

    def __init__(self, near_fd: int, far_fd: int, pid: int, seed: int) -> None:
        self.weather = Weather()
        self.prefix = ("nsenter", "-t", str(pid), "-n")
        self.carried = self.lost = 0
        self._ends = (near_fd, far_fd)
        self._random = random.Random(seed)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True, name="hwloop-link")
        self._thread.start()

    def stop(self) -> None:
        """Stop carrying."""
        self._stopped.set()
        self._thread.join(SETTLE_S)

    def _carry(self) -> None:
        order = itertools.count()
        under_way: list[tuple[float, int, int, bytes]] = []
        while not self._stopped.is_set():
            wait_s = min(0.02, max(0.0, under_way[0][0] - time.monotonic())) if under_way else 0.02
            for end in select.select(self._ends, [], [], wait_s)[0]:
                packet = os.read(end, 1 << 16)
                if self._is_lost() or len(under_way) >= QUEUE_PACKETS:
                    self.lost += 1
                    continue
                other = self._ends[end == self._ends[0]]
                heapq.heappush(under_way, (time.monotonic() + self.weather.delay_s, next(order), other, packet))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, end, packet = heapq.heappop(under_way)
                if not self.weather.cut:
                    os.write(end, packet)
                    self.carried += 1

    def _is_lost(self) -> bool:
        return self.weather.cut or self._random.random() < self.weather.loss


@contextmanager
def linked_namespace(seed: int = 0) -> Iterator[Link]:
    """Make a network namespace and a link to it; both end with the block.

    Raises:
        RuntimeError: the kernel does not let us.
    """
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 100000"], stdout=subprocess.PIPE)
    fds: list[int] = []
    link = None
    try:
        assert holder.stdout
        if holder.stdout.read(1) != b"\n":
            raise RuntimeError("no network namespace can be made: that takes root")
        there = ("nsenter", "-t", str(holder.pid), "-n")
        near, far = f"hwl{os.getpid() % 10**9}n", f"hwl{os.getpid() % 10**9}f"
        fds += [_tun(near), _tun(far)]
        _ip((), "link", "set", far, "netns", str(holder.pid))
        for prefix, name, mine, other in (((), near, HERE, THERE), (there, far, THERE, HERE)):
            _ip(prefix, "addr", "add", mine, "peer", other, "dev", name)
            _ip(prefix, "link", "set", name, "mtu", str(MTU_BYTES), "up")
        _ip(there, "link", "set", "lo", "up")
        link = Link(fds[0], fds[1], holder.pid, seed)
        yield link
    finally:
        if link:
            link.stop()
        for fd in fds:
            os.close(fd)
        holder.kill()
        holder.wait(SETTLE_S)
        if holder.stdout:
            holder.stdout.close()


def _tun(name: str) -> int:
    """Make a TUN device and return its descriptor; the device goes when that is closed."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def _ip(prefix: tuple[str, ...], *words: str) -> None:
    done = subprocess.run([*prefix, "ip", *words], capture_output=True, text=True, timeout=SETTLE_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
