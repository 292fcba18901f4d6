"""One job, in a process that was forked for it."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from .cache import within
from .evidence import evidence
from .facts import read_text
from .pace import AnyPace, FullPace
from .sampling import count_instructions, fastest_cpus, sample, steady_heap, warm_up
from .watch import Watch

if TYPE_CHECKING:
    from .cache import Cache
    from .runtimes import Output, Runtime


def peak_rss_bytes() -> int | None:
    """Return the most memory that this process held, or None where the kernel does not say."""
    for line in (read_text("/proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def work(runtime: Runtime, cache: Cache, job: dict[str, Any]) -> dict[str, Any]:
    """Do one job in this fresh process and return its result."""
    folder = cache.folder(job["artifact"])
    for spec in job["inputs"]:
        spec["path"] = cache.blob(spec["blob"])
    cpus = fastest_cpus(job["threads"])
    os.sched_setaffinity(0, cpus)
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    counted = bool(job["counted_calls"])
    before = {} if counted else evidence()  # its text varies in length, and so the heap would
    if counted:
        steady_heap()
    load_start = time.perf_counter()
    runtime.load(within(folder, job["entry"]), job)
    load_ms = (time.perf_counter() - load_start) * 1000
    result = {"started_at": started, "load_ms": load_ms}
    if counted:
        result.update(count_instructions(runtime.call, job["counted_calls"]), during=None)
    else:
        warmup, steady = warm_up(runtime.call, job["warmup_seconds"])
        watch = Watch(cpus)
        watch.start()
        pace = FullPace(job["full_speed_ns"]) if job["full_speed"] else AnyPace()
        samples, set_aside = sample(runtime.call, job, watch.look, pace)
        conditions = {**watch.conditions(), "full_speed_ns": pace.full_speed_ns, "set_aside": set_aside}
        result.update(warmup_ns=warmup, steady=steady, samples_ns=samples, during=conditions, instructions=[])
        result["peak_rss_bytes"] = peak_rss_bytes()
    result["after"] = evidence()
    result["before"] = before or result["after"]
    result.update(pack(runtime.outputs(), job["known_outputs"]))
    return result


def pack(outputs: list[Output], known: list[str]) -> dict[str, Any]:
    """Return the outputs' digest, and the outputs themselves unless the host knows that digest."""
    sha = hashlib.sha256()
    for name, dtype, shape, data in outputs:
        sha.update(json.dumps([name, dtype, shape]).encode() + data)
    packed: dict[str, Any] = {"outputs_digest": sha.hexdigest(), "outputs": None}
    if packed["outputs_digest"] not in known:
        packed["outputs"] = [
            {"name": name, "dtype": dtype, "shape": shape, "data": base64.b64encode(data).decode()}
            for name, dtype, shape, data in outputs
        ]
    return packed
