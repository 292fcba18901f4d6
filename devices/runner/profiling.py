"""Where the time of a call goes: each kernel by itself, as the runtime's own hooks tell it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .cache import within
from .sampling import Counter, clock_ns, count_instructions, fastest_cpus, steady_heap, timed, warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .cache import Cache
    from .runtimes import Runtime

    # A kernel's name, its kind, and what each of its executions cost, in order.
    Kernels = list[tuple[str, str, list[int]]]

WARM_CALLS = 3


def profile(runtime: Runtime, cache: Cache, job: dict[str, Any]) -> dict[str, Any]:
    """Time, or count, whole calls; then as many calls again with each kernel by itself."""
    for spec in job["inputs"]:
        spec["path"] = cache.blob(spec["blob"])
    os.sched_setaffinity(0, fastest_cpus(job["threads"]))
    path, calls = within(cache.folder(job["artifact"]), job["entry"]), job["calls"]
    if job["counted"]:
        steady_heap()
    runtime.load(path, job)
    clock: Callable[[], int] = clock_ns
    if job["counted"]:
        whole = count_instructions(runtime.call, calls)["instructions"]
        clock = Counter().read
    else:
        warm_up(runtime.call, job["warmup_seconds"])
        whole = [timed(runtime.call) for _ in range(calls)]
    kernels = runtime.profile(path, job, WARM_CALLS, calls, clock)
    return {
        "calls": whole,
        "kernels": [
            {"name": name, "kind": kind, "runs": len(costs) / calls, "cost": typical(costs) * len(costs) / calls}
            for name, kind, costs in kernels
        ],
    }


def typical(costs: Sequence[int]) -> float:
    """Return the mean of the middle half, which neither a hiccup nor a clock's coarse steps move."""
    ordered = sorted(costs)
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    return sum(middle) / len(middle)
