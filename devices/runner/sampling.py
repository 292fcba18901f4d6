"""Warm-up, timed calls, counted calls."""

from __future__ import annotations

import ctypes
import math
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from .facts import read_text
from .failed import Failed
from .median import middle
from .pace import AnyPace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


ANY = AnyPace()
MORE = 3  # times the seconds, while others slow the processor
WANTED = 0.25  # of the calls are kept, or there are more seconds


def fastest_cpus(count: int) -> list[int]:
    """Return the `count` usable CPUs with the highest clock; of equals the last, which serve fewer interrupts."""
    usable = sorted(os.sched_getaffinity(0))

    def clock(cpu: int) -> int:
        text = read_text("/sys/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq" % cpu)
        return int(text) if text and text.isdigit() else 0

    return sorted(usable, key=lambda cpu: (clock(cpu), cpu))[-count:]


def warm_up(call: Callable[[], None], seconds: float) -> tuple[list[int], bool]:
    """Call until two windows of calls agree within 5 %, or `seconds` passed; return the times and whether steady."""
    window, times = 5, []
    end = time.perf_counter() + seconds
    while True:
        times.append(timed(call))
        steady = len(times) >= 2 * window and close(middle(times[-window:]), middle(times[-2 * window : -window]))
        if steady:
            return times, True
        if time.perf_counter() >= end and len(times) >= 2:
            return times, close(times[-1], times[-2])


def close(one: float, other: float) -> bool:
    """Whether two times are within 5 % of each other."""
    return abs(one - other) <= 0.05 * max(one, other)


def timed(call: Callable[[], None]) -> int:
    """Return the nanoseconds of one call on the monotonic clock."""
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start


def narrow(samples: Sequence[int], relative_width: float) -> bool:
    """Whether the median's 95 % interval, by order statistics, is narrower than a share of the median."""
    ordered = sorted(samples)
    count = len(ordered)
    reach = 0.98 * math.sqrt(count)
    low, high = int(count / 2 - reach), int(math.ceil(count / 2 + reach))
    if low < 0 or high >= count:
        return False
    return ordered[high] - ordered[low] < relative_width * middle(ordered)


def sample(
    call: Callable[[], None], job: dict[str, Any], look: Callable[[], None], pace: AnyPace = ANY
) -> tuple[Sequence[int], int]:
    """Time calls until the job's stop rule holds; return the times in order, and how many were set aside.

    `pace` says which to keep. While it keeps too few of them, there may be four times the job's seconds. `look` is
    called between calls.
    """
    every: list[int] = []
    end = time.perf_counter() + job["seconds"]
    last = end + MORE * job["seconds"]
    next_check = max(1, job["min_calls"])
    while len(every) < job["max_calls"]:
        every.append(timed(call))
        pace.note()
        now = time.perf_counter()
        if now >= end:
            if now >= last or enough(pace.kept(every), every):
                break
            end = min(last, now + job["seconds"] / 4)
        if len(every) >= next_check:
            look()
            kept = pace.kept(every)
            if enough(kept, every) and narrow(kept, job["relative_width"]):
                break
            next_check = math.ceil(len(every) * 1.25)
    kept = pace.kept(every)
    return kept, len(every) - len(kept)


def enough(kept: Sequence[int], every: Sequence[int]) -> bool:
    """Whether a process need not go on for more of them."""
    return len(kept) >= WANTED * len(every)


def clock_ns() -> int:
    """Return the monotonic clock in nanoseconds."""
    return time.perf_counter_ns()


MARK_NUMBER, MARK_MAGIC = 141, 0x68776C6F6F70
COUNT_WARMUP_CALLS = 2
POOL_BYTES = 16384  # of pymalloc, since Python 3.10; 4096 before
EMPTY_BYTES_SIZE = 33


class Counter:
    """The guest instructions of this process so far, as the emulator's plugin tells at marks that it sees."""

    def __init__(self) -> None:
        self.count = ctypes.c_uint64(0)
        self.mark = (ctypes.c_long(MARK_NUMBER), ctypes.c_ulong(MARK_MAGIC), ctypes.byref(self.count))
        self.libc = ctypes.CDLL(None)

    def read(self) -> int:
        """Make a mark and return the count; 0 where no plugin counts."""
        self.libc.syscall(*self.mark)
        return self.count.value


# Of <malloc.h>: when the heap's top is given back, by how much it grows, and what never lies in it.
HEAP_SETTINGS = {-1: 1 << 30, -2: 64 << 20, -3: 32 << 20}  # M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, in bytes


def steady_heap() -> None:
    """Make the C library keep the memory that it once had, so that no call asks the kernel for some or gives it back.

    Whether one would hangs on where the heap's top happens to be, which differs from process to process.
    """
    libc = ctypes.CDLL(None)
    for setting, size_bytes in HEAP_SETTINGS.items():
        libc.mallopt(setting, size_bytes)


def spread_blocks() -> list[list[object]]:
    """Return objects of every size that Python's own allocator serves, with free places between them.

    While they live, an object in a call finds its place at once, and giving it back frees no pool. Otherwise both
    cost instructions as the heap happens to stand, which differs by an object or two from process to process.
    """
    sizes: list[tuple[Callable[[], object], int]] = [(object, 16), (lambda: float("0.5"), 32)]
    sizes += [(partial(bytes, size - EMPTY_BYTES_SIZE), size) for size in range(48, 513, 16)]
    spread = [[make() for _ in range(3 * POOL_BYTES // size)] for make, size in sizes]
    for blocks in spread:
        del blocks[::2]
    return spread


def count_instructions(call: Callable[[], None], calls: int) -> dict[str, Any]:
    """Count the guest instructions of each call, between marks that the emulator's plugin sees."""
    libc = ctypes.CDLL(None)
    count = ctypes.c_uint64(0)
    mark = (ctypes.c_long(MARK_NUMBER), ctypes.c_ulong(MARK_MAGIC), ctypes.byref(count))
    counts = [0] * (COUNT_WARMUP_CALLS + calls)
    spread = spread_blocks()
    for index in range(len(counts)):
        libc.syscall(*mark)
        start = count.value
        call()
        libc.syscall(*mark)
        counts[index] = count.value - start
    del spread
    if not all(counts):
        raise Failed("crashed", "this process does not run under the emulator's counting plugin")
    return {
        "warmup_ns": [],
        "samples_ns": [],
        "steady": True,
        "peak_rss_bytes": None,
        "instructions": counts[COUNT_WARMUP_CALLS:],
    }
