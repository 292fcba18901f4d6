"""Another process that loads this machine on and off, as a neighbour would."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

SHORTEST_S, LONGEST_S = 0.3, 4.0
BUFFER_BYTES = 32 << 20


@contextmanager
def loaded_on_and_off(seed: int) -> Iterator[None]:
    """Run the neighbour for the length of the block; it ends with this process, too."""
    neighbour = multiprocessing.get_context("fork").Process(target=_load, args=(seed, os.getpid()), daemon=True)
    neighbour.start()
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.join(10)


def _load(seed: int, parent: int) -> None:
    """Compute or copy memory in bursts, on any processor or on a drawn one, with pauses between."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    draw = random.Random(seed)
    usable = sorted(os.sched_getaffinity(0))
    block = bytearray(BUFFER_BYTES)
    while os.getppid() == parent:
        # Half the bursts stay where the kernel puts them; the others sit on one processor, perhaps the timed one.
        os.sched_setaffinity(0, usable if draw.random() < 0.5 else {draw.choice(usable)})
        copying = draw.random() < 0.5
        end = time.monotonic() + draw.uniform(SHORTEST_S, LONGEST_S)
        while time.monotonic() < end:
            if copying:
                bytes(block)
            else:
                sum(range(20_000))
        time.sleep(draw.uniform(SHORTEST_S, LONGEST_S))
