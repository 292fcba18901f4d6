"""TVM: compiled on the host for the device's target, in a process of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import threading
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor, wait
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.errors import InfrastructureError, UsageError
from hwloop.exporter.compile_cache import CompileCache, CompiledFile
from hwloop.exporter.compile_jobs import LIBRARY, Compiled, CompileJob, Compilers, compile_apart
from hwloop.exporter.kernel_labels import KernelLabels
from hwloop.exporter.model import Model
from hwloop.exporter.schedules import Schedules
from hwloop.exporter.toolchain import linkers_for
from hwloop.exporter.tuned import TunedKernels, used_by
from hwloop.records import Artifact, Failure, FailureKind, RuntimeNeeds, Target, WheelNeed

ENTRY = LIBRARY
VERSION = "0.27.0.post1"
FFI_VERSION = "0.1.14.post1"
PIPELINE = "rules-5"  # changes with whatever changes the code that comes out
COMPILER = f"{PIPELINE} {VERSION} {FFI_VERSION}"
LOOK_S, GRACE_S = 0.2, 30.0


class Tvm:
    """Compiles with TVM and the rules of `exporter/compiler` and links a shared library for the device.

    Every compilation is a process of its own: a fork of one that has TVM loaded already. As many as this host has
    processors run at once, or an `executor` has them run where it will, such as a cluster's (`dask.distributed`'s
    `Client.get_executor()`). Kernels for which `tuned` has something faster than their rule's code take that; with
    `by_rules_alone` none does.
    """

    name = "tvm"
    revision = PIPELINE

    def __init__(
        self,
        cache: CompileCache | None = None,
        tuned: TunedKernels | None = None,
        executor: Executor | None = None,
        *,
        by_rules_alone: bool = False,
    ) -> None:
        self._cache = cache or CompileCache()
        self._tuned = tuned or TunedKernels(COMPILER)
        self._by_rules_alone = by_rules_alone
        self._elsewhere = executor
        self._here = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="compile")
        self._compilers = Compilers()
        self._stopped = threading.Event()

    @property
    def compiles(self) -> bool:
        """Whether builds load this host's processors: not where an executor has them run elsewhere."""
        return self._elsewhere is None

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
        found = self._find_or_compile(model, target, deadline)
        if isinstance(found, Failure):
            return found
        return Artifact(
            runtime=self.name,
            runtime_version=version,
            model_digest=model.digest,
            files={ENTRY: found.path},
            digests={ENTRY: found.digest},
            entry=ENTRY,
            inputs=model.inputs,
            outputs=model.outputs,
            target=target,
            notes=_notes(found.unscheduled),
        )

    def kernel_label(self, kernel: str, target: Target) -> tuple[str, str]:
        """Return what a kernel of a built model does, and the rule that made it, in words that a profile shows."""
        return KernelLabels(self._cache.objects([COMPILER, _words(target)])).read(kernel)

    def _find_or_compile(self, model: Model, target: Target, deadline: Deadline) -> CompiledFile | Failure:
        """Return the compiled file; which of the tuned kernels a model has is known once it compiled."""
        recipe = _recipe(model, target)
        schedules = {} if self._by_rules_alone else self._tuned.schedules(target)
        kernels = self._cache.kernels(recipe)
        if kernels is not None and (found := self._cache.find(_with(recipe, kernels, schedules))):
            return found
        objects = self._cache.objects([COMPILER, _words(target)])
        compiled = self._compile(compile_request(model, target, schedules, objects), deadline)
        model.require_unchanged()  # else other content would stand in the cache under this model's digest
        if isinstance(compiled, Failure):
            return compiled
        self._cache.keep_kernels(recipe, compiled.kernels)
        made_of = _with(recipe, compiled.kernels, schedules)
        return self._cache.keep(made_of, ENTRY, compiled.library, compiled.unscheduled)

    def stop(self) -> None:
        """End the compilers that run, from any thread; the builds that wait for them raise."""
        self._stopped.set()
        self._compilers.kill()

    def _compile(self, request: dict[str, object], deadline: Deadline) -> Compiled | Failure:
        job = CompileJob(json.dumps(request), deadline.remaining_s)
        if self._elsewhere:
            compiling = self._elsewhere.submit(compile_apart, job)
        else:
            compiling = self._here.submit(self._compilers.compile, job)
        limit = Deadline.after(deadline.remaining_s + GRACE_S)
        while not wait([compiling], timeout=LOOK_S).done:
            if self._stopped.is_set() or limit.expired:
                compiling.cancel()
                break
        if self._stopped.is_set():
            raise InfrastructureError("compiling was stopped")
        if not compiling.done() or compiling.cancelled():
            return Failure(FailureKind.BUILD, "TVM did not finish compiling by the deadline")
        try:
            return compiling.result()
        except BrokenExecutor as error:
            raise InfrastructureError(f"those who compile are gone: {error}") from error


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


def compile_request(model: Model, target: Target, schedules: Schedules, objects: Path) -> dict[str, object]:
    """Return what the compiler's process must know, as JSON; it keeps kernels' object files in a folder `objects`."""
    return {
        "model": str(model.path.absolute()),
        "shapes": {spec.name: list(spec.shape) for spec in model.inputs},
        "dims": dict(model.dims),
        "triple": target.triple,
        "cpu": target.cpu,
        "features": list(target.features),
        "num_cores": target.num_cores,
        "glibc": list(target.glibc),
        "linkers": linkers_for(target),
        "objects": str(objects.absolute()),
        "schedules": {kernel: schedule.as_json() for kernel, schedule in schedules.items()},
    }


def _notes(unscheduled: Sequence[str]) -> tuple[str, ...]:
    """Return what a user should know of kernels that no rule made."""
    if not unscheduled:
        return ()
    return (f"no rule of the compiler's covers {', '.join(unscheduled)}: correct, but slow",)


def _with(recipe: dict[str, object], kernels: Sequence[str], schedules: Schedules) -> dict[str, object]:
    """Return the recipe of a model with what its tuned kernels take."""
    used = used_by(kernels, schedules)
    return {**recipe, "schedules": used} if used else recipe


def _recipe(model: Model, target: Target) -> dict[str, object]:
    return {
        "pipeline": PIPELINE,
        "labels": 1,  # what was compiled before kernels had labels is compiled again, to the same code
        "version": [VERSION, FFI_VERSION],
        "model": model.digest,
        "shapes": [list(spec.shape) for spec in model.inputs],
        "target": _words(target),
    }


def _words(target: Target) -> list[object]:
    return [target.triple, target.cpu, list(target.features), target.num_cores, list(target.glibc)]
