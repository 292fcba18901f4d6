"""TVM: compiled on the host for the device's target, in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.errors import UsageError
from hwloop.exporter.compile_cache import CompileCache
from hwloop.exporter.model import Model
from hwloop.exporter.toolchain import linker_for
from hwloop.records import Artifact, Failure, FailureKind, RuntimeNeeds, Target, WheelNeed

ENTRY = "model.so"
VERSION = "0.27.0.post1"
FFI_VERSION = "0.1.14.post1"
PIPELINE = "stock-1"
DETAIL_KEPT = 4000


class Tvm:
    """Compiles with TVM's stock pipeline and links a shared library for the device."""

    name = "tvm"
    compiles = True

    def __init__(self, cache: CompileCache | None = None) -> None:
        self._cache = cache or CompileCache()

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
        if importlib.util.find_spec("tvm") is None:
            raise UsageError("TVM's compiler is not installed", remedy="pip install 'hwloop[tvm]'")
        recipe = self._recipe(model, target, version)
        found = self._cache.find(recipe)
        if found is None:
            with tempfile.TemporaryDirectory() as folder:
                built = Path(folder) / ENTRY
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

    @staticmethod
    def _recipe(model: Model, target: Target, version: str) -> dict[str, object]:
        return {
            "pipeline": PIPELINE,
            "version": version,
            "model": model.digest,
            "shapes": [list(spec.shape) for spec in model.inputs],
            "target": [
                target.triple,
                target.cpu,
                list(target.features),
                target.num_cores,
                list(target.glibc),
            ],
        }

    def _compile(self, model: Model, target: Target, built: Path, deadline: Deadline) -> Failure | None:
        job = {
            "model": str(model.path.resolve()),
            "shapes": {spec.name: list(spec.shape) for spec in model.inputs},
            "triple": target.triple,
            "cpu": target.cpu,
            "features": list(target.features),
            "num_cores": target.num_cores,
            "linker": linker_for(target),
            "output": str(built),
        }
        command = [sys.executable, "-m", "hwloop.exporter.runtimes.tvm_compile"]
        try:
            ended = subprocess.run(
                command,
                input=json.dumps(job),
                capture_output=True,
                text=True,
                timeout=deadline.remaining_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Failure(FailureKind.BUILD, "TVM did not finish compiling by the deadline")
        if ended.returncode == 0 and built.is_file():
            return None
        detail = ended.stderr[-DETAIL_KEPT:]
        for line in reversed(ended.stdout.splitlines()):
            if line.startswith("{"):
                told = json.loads(line)
                return Failure(FailureKind(told["kind"]), told["message"], detail)
        how = f"signal {-ended.returncode}" if ended.returncode < 0 else f"status {ended.returncode}"
        return Failure(FailureKind.BUILD, f"TVM's compiler ended with {how}", detail)
