"""What compiling with TVM costs: a model, the same network again with other weights and depth.

    python benchmarks/compile_time.py

`first_s` is the processor time of compiling a 12-layer ViT-tiny with nothing kept, TVM's import included; `deeper_s`
that of one with other weights and 8 layers, whose kernels are all known then, by the process that has TVM loaded; and
`same_s` that of taking the first one from the cache. `peak_mb` is the most memory that a process had. The last line is
JSON.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hwloop.deadline import Deadline
from hwloop.exporter.compile_cache import CompileCache
from hwloop.exporter.device_target import X86_LEVELS
from hwloop.exporter.model import load_model
from hwloop.exporter.runtimes.tvm import VERSION, Tvm
from hwloop.exporter.tuned import TunedKernels
from hwloop.records import Failure, Target
from hwloop.testing.networks.vit import vit

LIMIT_S = 600.0


def main() -> None:
    """Compile, print a table, then one line of JSON."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tvm = Tvm(CompileCache(folder / "compiled"), TunedKernels("", folder / "tuned"))
        models = {depth: vit(folder / f"vit{depth}.onnx", depth=depth) for depth in (12, 8)}
        for label, depth in (("first", 12), ("deeper", 8), ("same", 12)):
            found[label] = compiled(tvm, models[depth])
    table = Table("compiling", "processor s", "wall s")
    for label, one in found.items():
        table.add_row(label, f"{one['cpu_s']:.2f}", f"{one['wall_s']:.2f}")
    del tvm  # its compilers end, and their peak can be read
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    Console().print(table)
    summary = {f"{label}_s": round(one["cpu_s"], 3) for label, one in found.items()}
    print(json.dumps({**summary, "peak_mb": round(peak_mb), **found}))


def compiled(tvm: Tvm, path: Path) -> dict[str, float]:
    """Return the processor time of the processes that compile a model for this machine, and the time on the wall."""
    before, start = processor_s(), time.perf_counter()
    built = tvm.build(load_model(path, {}), host(), VERSION, Deadline.after(LIMIT_S))
    if isinstance(built, Failure):
        raise SystemExit(built.message)
    return {"cpu_s": processor_s() - before, "wall_s": time.perf_counter() - start}


def processor_s() -> float:
    """Return the processor time of this process's children, of all that those waited for, and of those that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime + sum(map(running_s, Path("/proc").glob("[0-9]*/stat")))


def running_s(stat: Path) -> float:
    """Return the processor time of a running process, with what it waited for, if it is a child of this one."""
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:  # it ended meanwhile
        return 0.0
    parent, ticks = int(fields[1]), sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK") if parent == os.getpid() else 0.0


def host() -> Target:
    """Return this machine's own target."""
    if platform.machine() != "x86_64":
        return Target(f"{platform.machine()}-linux-gnu", "generic", ("+neon",))
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = set(next(line for line in lines if line.startswith("flags")).split(":")[1].split())
    return Target("x86_64-linux-gnu", next(name for name, needed in X86_LEVELS if needed <= flags))


if __name__ == "__main__":
    main()
