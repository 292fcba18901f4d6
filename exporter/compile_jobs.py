"""One compilation as a function of what can be sent to another process or machine, for any `Executor`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwloop.records import Failure, FailureKind
from hwloop.scratch import scratch_folder

DETAIL_KEPT = 4000
LIBRARY = "model.so"
REQUEST, TOLD, WORDS = "request.json", "told", "words"  # the latter are a compilation's standard output and error


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


class Compiler:
    """A process that has TVM loaded, and compiles one model after the other, each in a fork of itself."""

    def __init__(self) -> None:
        self._killed = False
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hwloop.exporter.runtimes.tvm_compile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            bufsize=0,
            start_new_session=True,  # its forks, and the linkers that they start, are killed with it
        )
        assert self.process.stdin and self.process.stdout
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        self._answer = select.poll()
        self._answer.register(self._stdout, select.POLLIN)

    def compile(self, job: CompileJob) -> Compiled | Failure:
        """Compile a model; a crash, a hang or a lack of memory is a Failure, and a hang ends this process."""
        with scratch_folder("tvm") as folder:
            built = folder / LIBRARY
            (folder / REQUEST).write_text(json.dumps({**json.loads(job.request), "output": str(built)}))
            with contextlib.suppress(BrokenPipeError):  # it has ended: then there is no answer
                self._stdin.write(f"{folder}\n".encode())
            if not self._answer.poll(job.deadline_s * 1000):
                self.kill()
                return Failure(FailureKind.BUILD, "TVM did not finish compiling by the deadline")
            status = self._status()
            told = _text(folder / TOLD)
            if status == 0 and built.is_file():
                answer = _last_answer(told, "kernels")
                return Compiled(built.read_bytes(), tuple(answer["kernels"]), tuple(answer["unscheduled"]))
            return failure_of(status, told, (self._own_words() + _text(folder / WORDS))[-DETAIL_KEPT:])

    @property
    def usable(self) -> bool:
        """Whether the process takes jobs: it lives, and nobody killed it."""
        return not self._killed and self.process.poll() is None

    def kill(self) -> None:
        """End the process and all that it started, from any thread."""
        if self.usable:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):  # another thread found its end just now
                os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process, close its files and wait for it."""
        self._words.close()
        kill(self.process)

    def _status(self) -> int:
        """Return how the fork ended, or else this process."""
        line = self._stdout.readline()
        if line.endswith(b"\n"):
            return int(line)
        self.kill()
        return self.process.wait()

    def _own_words(self) -> str:
        self._words.seek(0)
        return self._words.read().decode(errors="replace")


class Compilers:
    """Compilers that wait for jobs, as many as ever ran at once; they end with this object, or with hwloop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._all: set[Compiler] = set()
        self._idle: list[Compiler] = []
        weakref.finalize(self, _close, self._all)

    def compile(self, job: CompileJob) -> Compiled | Failure:
        """Compile a model with an idle compiler, or with a new one; Failures are those of `Compiler.compile`."""
        with self._one() as compiler:
            return compiler.compile(job)

    def kill(self) -> None:
        """End all compilers, from any thread: whoever waits for one gets a Failure, and so does who asks later."""
        with self._lock:
            self._ended = True
            for compiler in self._all:
                compiler.kill()

    @contextlib.contextmanager
    def _one(self) -> Iterator[Compiler]:
        with self._lock:
            compiler = self._take()
            if self._ended:
                compiler.kill()
        try:
            yield compiler
        except BaseException:
            compiler.kill()
            raise
        finally:
            with self._lock:
                if compiler.usable:
                    self._idle.append(compiler)
                else:
                    self._drop(compiler)

    def _take(self) -> Compiler:
        """Return an idle compiler, unless it ended while it waited: they are the first to go when memory runs out."""
        while self._idle:
            compiler = self._idle.pop()
            if compiler.usable:
                return compiler
            self._drop(compiler)
        compiler = Compiler()
        self._all.add(compiler)
        return compiler

    def _drop(self, compiler: Compiler) -> None:
        self._all.discard(compiler)
        compiler.close()


def compile_apart(job: CompileJob) -> Compiled | Failure:
    """Compile a model with a compiler that ends with the job; a crash, a hang or a lack of memory is a Failure."""
    compiler = Compiler()
    try:
        return compiler.compile(job)
    finally:
        compiler.close()


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a process and all that it started; what has ended already is left in peace."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    with process:  # closes its pipes and waits for it
        pass


def failure_of(status: int, told: str, detail: str) -> Failure:
    """Return why a compiler ended with `status`, in its own words if it left any."""
    verdict = _last_answer(told, "kind")
    if verdict:
        return Failure(FailureKind(verdict["kind"]), verdict["message"], detail)
    if status == -signal.SIGKILL:
        return Failure(FailureKind.MEMORY, "TVM's compiler was killed; most likely memory ran out", detail)
    how = f"signal {-status} ({signal.strsignal(-status)})" if status < 0 else f"status {status}"
    return Failure(FailureKind.BUILD, f"TVM's compiler ended with {how}", detail)


def _close(compilers: set[Compiler]) -> None:
    for compiler in compilers:
        compiler.close()


def _text(file: Path) -> str:
    return file.read_text(errors="replace") if file.is_file() else ""


def _last_answer(told: str, key: str) -> dict[str, Any]:
    """Return the last line that is a JSON object which begins with a key; TVM prints to the same place."""
    for line in reversed(told.splitlines()):
        if line.startswith(f'{{"{key}"'):
            return dict(json.loads(line))
    return {}
