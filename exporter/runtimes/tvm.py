"""TVM: compiled on the host for the device's target, in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.errors import InfrastructureError, UsageError
from hwloop.exporter.compile_cache import CompileCache
from hwloop.exporter.model import Model
from hwloop.exporter.toolchain import linkers_for
from hwloop.records import Artifact, Failure, FailureKind, RuntimeNeeds, Target, WheelNeed
from hwloop.scratch import scratch_folder

ENTRY = "model.so"
VERSION = "0.27.0.post1"
FFI_VERSION = "0.1.14.post1"
PIPELINE = "rules-4"  # changes with whatever changes the code that comes out
DETAIL_KEPT = 4000


class Tvm:
    """Compiles with TVM and the rules of `exporter/compiler` and links a shared library for the device."""

    name = "tvm"
    compiles = True
    revision = PIPELINE

    def __init__(self, cache: CompileCache | None = None) -> None:
        self._cache = cache or CompileCache()
        self._compiling: set[subprocess.Popen[str]] = set()
        self._stopped = threading.Event()

    def needs(self) -> RuntimeNeeds:
        """Return the two libraries of the thin runtime, out of the wheels of the device's architecture."""
        return RuntimeNeeds(
            self.name,
            (
                WheelNeed(f"apache-tvm=={VERSION}", ("*/libtvm_runtime.so",), any_python=True),
                WheelNeed(f"apache-tvm-ffi=={FFI_VERSION}", ("*/libtvm_ffi.so",), any_python=True),
            ),
        )

    def build(self, model: Model, target: Target, version: str, deadline: Deadline) -> Artifact | Failure:
        """Compile a model, or take the compiled file from the cache; raises and Failures as `Runtime.build`."""
        _require_compiler(version)
        recipe = _recipe(model, target)
        found = self._cache.find(recipe)
        if found is None:
            with scratch_folder("tvm") as folder:
                built = folder / ENTRY
                failure = self._compile(model, target, built, deadline)
                if failure:
                    return failure
                found = self._cache.keep(recipe, built)
        path, digest = found
        return Artifact(
            runtime=self.name,
            runtime_version=version,
            model_digest=model.digest,
            files={ENTRY: path},
            digests={ENTRY: digest},
            entry=ENTRY,
            inputs=model.inputs,
            outputs=model.outputs,
            target=target,
        )

    def stop(self) -> None:
        """End the compilers that run, from any thread; the builds that wait for them raise."""
        self._stopped.set()
        for process in list(self._compiling):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _compile(self, model: Model, target: Target, built: Path, deadline: Deadline) -> Failure | None:
        job = {
            "model": str(model.path.absolute()),
            "shapes": {spec.name: list(spec.shape) for spec in model.inputs},
            "dims": dict(model.dims),
            "triple": target.triple,
            "cpu": target.cpu,
            "features": list(target.features),
            "num_cores": target.num_cores,
            "glibc": list(target.glibc),
            "linkers": linkers_for(target),
            "output": str(built),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "hwloop.exporter.runtimes.tvm_compile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # the linkers that it starts are killed with it
        )
        self._compiling.add(process)
        try:
            told, words = process.communicate(json.dumps(job), timeout=deadline.remaining_s)
        except subprocess.TimeoutExpired:
            return Failure(FailureKind.BUILD, "TVM did not finish compiling by the deadline")
        finally:
            _kill(process)
            self._compiling.discard(process)
        if self._stopped.is_set():
            raise InfrastructureError("compiling was stopped")
        if process.returncode == 0 and built.is_file():
            return None
        return _failure(process.returncode, told, words[-DETAIL_KEPT:])


def _require_compiler(version: str) -> None:
    for package, pinned in (("apache-tvm", VERSION), ("apache-tvm-ffi", FFI_VERSION)):
        try:
            installed = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise UsageError("TVM's compiler is not installed", remedy="pip install 'hwloop[tvm]'") from None
        if installed != pinned:
            raise UsageError(
                f"{package} {installed} is installed, and hwloop compiles with {pinned}",
                remedy="pip install 'hwloop[tvm]'",
            )
    if version != VERSION:
        raise UsageError(f"the device has TVM {version}, and the compiler here makes code for {VERSION}")


def _recipe(model: Model, target: Target) -> dict[str, object]:
    return {
        "pipeline": PIPELINE,
        "version": [VERSION, FFI_VERSION],
        "model": model.digest,
        "shapes": [list(spec.shape) for spec in model.inputs],
        "target": [target.triple, target.cpu, list(target.features), target.num_cores, list(target.glibc)],
    }


def _failure(status: int, told: str, detail: str) -> Failure:
    for line in reversed(told.splitlines()):
        if line.startswith('{"kind"'):
            verdict = json.loads(line)
            return Failure(FailureKind(verdict["kind"]), verdict["message"], detail)
    if status == -signal.SIGKILL:
        return Failure(FailureKind.MEMORY, "TVM's compiler was killed; most likely memory ran out", detail)
    how = f"signal {-status} ({signal.strsignal(-status)})" if status < 0 else f"status {status}"
    return Failure(FailureKind.BUILD, f"TVM's compiler ended with {how}", detail)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and all that it started; what has ended already is left in peace."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
