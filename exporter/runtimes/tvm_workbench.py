"""The process that has a model's kernels at hand and builds each by itself, in as many ways as it is asked for.

It reads one JSON request a line and answers with one line, except that a search asks for times meanwhile:

    {"load": job}                                             → {"kernels": [...]}: see `_card`
    {"build": [{"kernel", "schedule", "output"}], "seconds"}  → {"built": ["" or what is wrong, ...]}
    {"search": kernel, "trials", "seconds", "folder"}         → {"time": [{"schedule", "output", "wrong"}]}, repeatedly
    {"times": [seconds or null, ...]}                           (the answer to that)
                                                              → {"found": trials}

What cannot be done is answered with {"kind", "message"}.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.runtimes.tvm_compile import Unbuilt, be_the_first_to_go, export, fused, machine_of, target_of
from hwloop.exporter.runtimes.tvm_forks import in_forks
from hwloop.exporter.schedules import schedule_from_json


def main() -> int:
    """Serve requests until standard input ends."""
    be_the_first_to_go()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # TVM prints, too
    bench: _Bench | None = None
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        answer: dict[str, object] = {}
        try:
            if "load" in request:
                bench = _Bench(request["load"], answers)
                answer = {"kernels": bench.cards()}
            elif bench and "build" in request:
                answer = {"built": bench.build(request["build"], request["seconds"])}
            elif bench:
                answer = {"found": bench.search(**request)}
        except Unbuilt as problem:
            answer = {"kind": problem.kind.value, "message": str(problem)}
        print(json.dumps(answer), file=answers, flush=True)
    return 0


class _Bench:
    """One model's kernels, for one target."""

    def __init__(self, job: Mapping[str, Any], answers: TextIO) -> None:
        from hwloop.exporter.compiler.kernels import kernels_of

        self._job = job
        self._answers = answers
        self._target = target_of(job)
        self._machine = machine_of(job)
        module = fused(job)
        self._kernels = {kernel.digest: kernel for kernel in kernels_of(module)}

    def cards(self) -> list[dict[str, object]]:
        """Return what the host must know of each kernel."""
        return [_card(kernel, self._machine) for kernel in self._kernels.values()]

    def build(self, wanted: Sequence[Mapping[str, Any]], seconds: float) -> list[str]:
        """Build kernels into libraries; return what is wrong with each, nothing for those that are there now."""
        return in_forks([self._maker(one) for one in wanted], seconds)

    def _maker(self, one: Mapping[str, Any]) -> Callable[[], None]:
        from hwloop.exporter.compiler.scheduling import make

        kernel = self._kernels[one["kernel"]]
        schedule = schedule_from_json(one["schedule"]) if one["schedule"] else None

        def build() -> None:
            made = make(kernel.function, self._machine, schedule)
            self._write(kernel, made.function if made else kernel.function, one["output"])

        return build

    def _write(self, kernel: Any, function: Any, output: str) -> None:
        from hwloop.exporter.compiler.kernels import alone
        from hwloop.exporter.compiler.pipeline import build, building

        with building(self._target):
            executable = build(alone(kernel, function), self._target)
        folder = Path(f"{output}.objects")
        folder.mkdir()
        export(executable, {**self._job, "output": output}, folder)

    def search(self, search: str, trials: int, seconds: float, folder: str) -> int:
        """Let MetaSchedule look for schedules of a kernel; return how many were tried."""
        from hwloop.exporter.runtimes.tvm_search import search_schedules

        kernel = self._kernels[search]
        tried = 0

        def times(functions: Sequence[Any], traces: Sequence[str]) -> list[float | None]:
            nonlocal tried
            outputs = [f"{folder}/{tried + number}.so" for number in range(len(functions))]
            tried += len(functions)
            writers = [
                partial(self._write, kernel, function, output)
                for function, output in zip(functions, outputs, strict=True)
            ]
            asked = [
                {"schedule": {"trace": trace}, "output": output, "wrong": wrong}
                for trace, output, wrong in zip(traces, outputs, in_forks(writers, seconds), strict=True)
            ]
            print(json.dumps({"time": asked}), file=self._answers, flush=True)
            return list(json.loads(sys.stdin.readline())["times"])

        search_schedules(kernel.function, self._target, trials, times)
        return tried


def _card(kernel: Any, machine: Machine) -> dict[str, object]:
    """Return a kernel's name, digest and rule, how often it is called, its tensors, tilings and packed parameter."""
    from hwloop.exporter.compiler.scheduling import rule_of

    matched = rule_of(kernel.function, machine)
    options = matched[0].options(kernel.function, machine) if matched else None
    packed = options.packed if options else None
    result = kernel.calls[0].ty_args[0]
    return {
        "name": kernel.name,
        "digest": kernel.digest,
        "rule": matched[0].name if matched else "",
        "calls": len(kernel.calls),
        "inputs": [_tensor(kind) for kind in kernel.arguments],
        "outputs": [_tensor(kind) for kind in (result.fields if hasattr(result, "fields") else [result])],
        "tilings": [tiling.as_json() for tiling in options.tilings] if options else [],
        "packed": packed and {"parameter": packed.parameter, **vars(packed.panels)},
    }


def _tensor(kind: Any) -> dict[str, object]:
    return {"dtype": str(kind.dtype), "shape": [int(size) for size in kind.shape]}


if __name__ == "__main__":
    sys.exit(main())
