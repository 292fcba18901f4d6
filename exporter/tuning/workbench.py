"""The compiler's process that builds kernels by themselves, from the host's side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from hwloop.digests import digest_file
from hwloop.exporter.compile_jobs import DETAIL_KEPT, failure_of, kill
from hwloop.exporter.model import Model
from hwloop.exporter.runtimes.tvm import ENTRY, VERSION, compile_request
from hwloop.exporter.schedules import Schedule, schedule_from_json
from hwloop.exporter.tuning.kernels import Candidate, Kernel
from hwloop.records import Artifact, Failure, FailureKind, Target

LOAD_S, BUILD_S, SEARCH_STEP_S = 600.0, 60.0, 900.0

Built = Candidate | Failure
Timed = Callable[[Sequence[tuple[Schedule, Built]]], Sequence[float | None]]


class WorkbenchLost(Exception):
    """The process ended or hung; `failure` says how. The next `load` starts another."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Workbench:
    """Builds a model's kernels for one target; what it builds stands in `folder` as long as that does."""

    def __init__(self, target: Target, folder: Path) -> None:
        self._target = target
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._words: IO[str] | None = None
        self._count = 0

    def load(self, model: Model) -> list[Kernel] | Failure:
        """Return the kernels of a model, which can then be built; or why it cannot be compiled.

        Raises:
            WorkbenchLost: the compiler crashed or hung over it.
            UsageError: there is no linker for the target.
        """
        objects = self._folder / "objects"
        job = {**compile_request(model, self._target, {}, objects), "output": str(self._folder / "model" / ENTRY)}
        (self._folder / "model").mkdir(exist_ok=True)
        answer = self._ask({"load": job}, LOAD_S)
        if "kind" in answer:
            return Failure(FailureKind(answer["kind"]), answer["message"])
        return [Kernel.from_json(card) for card in answer["kernels"]]

    def build(self, kernel: Kernel, schedules: Sequence[Schedule | None]) -> list[Built]:
        """Build a kernel in several ways at once; one that cannot be built is a Failure and harms no other.

        Raises:
            WorkbenchLost: the process is gone.
        """
        outputs = [self._output() for _ in schedules]
        wanted = [
            {"kernel": kernel.digest, "schedule": schedule.as_json() if schedule else None, "output": str(output)}
            for schedule, output in zip(schedules, outputs, strict=True)
        ]
        answer = self._ask({"build": wanted, "seconds": BUILD_S}, BUILD_S * (1 + len(schedules)))
        return [
            self._candidate(kernel, schedule, output, wrong)
            for schedule, output, wrong in zip(schedules, outputs, answer["built"], strict=True)
        ]

    def search(self, kernel: Kernel, trials: int, timed: Timed) -> int:
        """Let MetaSchedule search; `timed` gets its candidates, some at a time, and returns their seconds a call.

        None of them stands for a candidate that failed. Returns how many there were.

        Raises:
            WorkbenchLost: the search crashed or hung.
        """
        folder = self._output()
        folder.mkdir()
        request: dict[str, object] = {"search": kernel.digest, "trials": trials, "seconds": BUILD_S}
        answer = self._ask({**request, "folder": str(folder)}, SEARCH_STEP_S)
        while "time" in answer:
            found = [(schedule_from_json(one["schedule"]), Path(one["output"]), one["wrong"]) for one in answer["time"]]
            built = [(schedule, self._candidate(kernel, schedule, path, wrong)) for schedule, path, wrong in found]
            answer = self._ask({"times": list(timed(built))}, SEARCH_STEP_S)
        return int(answer["found"])

    def close(self) -> None:
        """End the process and all that it started."""
        if self._process:
            kill(self._process)
            self._process = None
        if self._words:
            self._words.close()
            self._words = None

    def _output(self) -> Path:
        self._count += 1
        return self._folder / f"{self._count}.so"

    def _candidate(self, kernel: Kernel, schedule: Schedule | None, output: Path, wrong: str) -> Built:
        if wrong:
            return Failure(FailureKind.BUILD, wrong)
        artifact = Artifact(
            runtime="tvm",
            runtime_version=VERSION,
            model_digest=kernel.digest,
            files={ENTRY: output},
            digests={ENTRY: digest_file(output)},
            entry=ENTRY,
            inputs=kernel.inputs,
            outputs=kernel.outputs,
            target=self._target,
        )
        return Candidate(kernel, schedule, artifact, kernel.arguments(schedule))

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        process = self._process = self._process or self._start()
        assert process.stdin and process.stdout and self._words
        with _killed_after(process, seconds) as hung:
            try:
                print(json.dumps(request), file=process.stdin, flush=True)
                line = process.stdout.readline()
            except BrokenPipeError:
                line = ""
        if line:
            return dict(json.loads(line))
        status = process.wait()
        self._words.seek(0)
        words = self._words.read()[-DETAIL_KEPT:]
        self.close()
        slow = Failure(FailureKind.BUILD, f"TVM did not answer within {seconds:g} s", words)
        raise WorkbenchLost(slow if hung.is_set() else failure_of(status, "", words))

    def _start(self) -> subprocess.Popen[str]:
        self._words = (self._folder / "words").open("w+", errors="replace")
        return subprocess.Popen(
            [sys.executable, "-m", "hwloop.exporter.runtimes.tvm_workbench"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
            start_new_session=True,
        )


@contextmanager
def _killed_after(process: subprocess.Popen[str], seconds: float) -> Iterator[threading.Event]:
    """Kill a process that takes longer than the block may; the event says whether that was so."""
    hung = threading.Event()

    def end() -> None:
        hung.set()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield hung
    finally:
        timer.cancel()
