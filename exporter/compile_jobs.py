"""One compilation as a function of what can be sent to another process or machine, for any `Executor`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import MutableSet
from dataclasses import dataclass
from typing import Any

from hwloop.records import Failure, FailureKind
from hwloop.scratch import scratch_folder

DETAIL_KEPT = 4000
LIBRARY = "model.so"

Processes = MutableSet["subprocess.Popen[str]"]


@dataclass(frozen=True)
class CompileJob:
    """What `runtimes/tvm_compile.py` is told, as JSON, and the seconds that it may take.

    The model's path must mean the same file wherever the job runs.
    """

    request: str
    deadline_s: float


@dataclass(frozen=True)
class Compiled:
    """A shared library, the digests of the kernels in it, and the names of those that no rule made."""

    library: bytes
    kernels: tuple[str, ...]
    unscheduled: tuple[str, ...]


def compile_apart(job: CompileJob, processes: Processes | None = None) -> Compiled | Failure:
    """Compile a model in a process of its own; a crash, a hang or a lack of memory there is a Failure.

    The process is in `processes`, if any are given, as long as it runs: whoever kills it gets a Failure here.
    """
    with scratch_folder("tvm") as folder:
        built = folder / LIBRARY
        request = {**json.loads(job.request), "output": str(built)}
        process = subprocess.Popen(
            [sys.executable, "-m", "hwloop.exporter.runtimes.tvm_compile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # the linkers that it starts are killed with it
        )
        running = set() if processes is None else processes
        running.add(process)
        try:
            told, words = process.communicate(json.dumps(request), timeout=job.deadline_s)
        except subprocess.TimeoutExpired:
            return Failure(FailureKind.BUILD, "TVM did not finish compiling by the deadline")
        finally:
            kill(process)
            running.discard(process)
        if process.returncode == 0 and built.is_file():
            answer = _last_answer(told, "kernels")
            return Compiled(built.read_bytes(), tuple(answer["kernels"]), tuple(answer["unscheduled"]))
        return failure_of(process.returncode, told, words[-DETAIL_KEPT:])


def failure_of(status: int, told: str, detail: str) -> Failure:
    """Return why a compiler ended with `status`, in its own words if it left any."""
    verdict = _last_answer(told, "kind")
    if verdict:
        return Failure(FailureKind(verdict["kind"]), verdict["message"], detail)
    if status == -signal.SIGKILL:
        return Failure(FailureKind.MEMORY, "TVM's compiler was killed; most likely memory ran out", detail)
    how = f"signal {-status} ({signal.strsignal(-status)})" if status < 0 else f"status {status}"
    return Failure(FailureKind.BUILD, f"TVM's compiler ended with {how}", detail)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and all that it started; what has ended already is left in peace."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    with process:  # closes its pipes and waits for it
        pass


def _last_answer(told: str, key: str) -> dict[str, Any]:
    """Return the last line that is a JSON object which begins with a key; TVM prints to the same place."""
    for line in reversed(told.splitlines()):
        if line.startswith(f'{{"{key}"'):
            return dict(json.loads(line))
    return {}
