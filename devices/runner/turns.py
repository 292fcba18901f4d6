"""A process that is timed in turns with others: a block of calls whenever it is told to."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from .cache import within
from .job import pack, peak_rss_bytes
from .median import middle
from .requests import checked
from .sampling import fastest_cpus, timed, warm_up
from .wire import parse, reply

if TYPE_CHECKING:
    from .cache import Cache
    from .runtimes import Runtime
    from .wire import Lines

LAST_CALLS = 5


def take_turns(runtime: Runtime, cache: Cache, job: dict[str, Any], lines: Lines, host: int) -> dict[str, Any]:
    """Load and warm up, say so, then time a block of calls at each turn; return the result at the end."""
    for spec in job["inputs"]:
        spec["path"] = cache.blob(spec["blob"])
    os.sched_setaffinity(0, fastest_cpus(job["threads"]))
    load_start = time.perf_counter()
    runtime.load(within(cache.folder(job["artifact"]), job["entry"]), job)
    load_ms = (time.perf_counter() - load_start) * 1000
    warmup, steady = warm_up(runtime.call, job["warmup_seconds"])
    reply(host, {"ok": {"call_ns": middle(warmup[-LAST_CALLS:])}})
    for line in iter(lines.next, None):
        turn = checked(parse(line))
        if turn["op"] == "end":
            break
        runtime.call()  # its code and data were pushed out of the caches by the others
        reply(host, {"ok": {"samples_ns": [timed(runtime.call) for _ in range(turn["calls"])]}})
    result = {"load_ms": load_ms, "steady": steady, "peak_rss_bytes": peak_rss_bytes()}
    return {**result, **pack(runtime.outputs(), job["known_outputs"])}
