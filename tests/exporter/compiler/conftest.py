"""Compiling small Relax modules for this machine's CPU and running them."""

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from hwloop.exporter.compiler.machine import machine_for
from hwloop.exporter.compiler.pipeline import Compiled, compile_module
from hwloop.exporter.device_target import X86_LEVELS
from hwloop.exporter.integer_convolutions import spell_out_convolutions
from hwloop.records import Target

Body = Callable[..., Any]
PI4 = Target("aarch64-linux-gnu", "cortex-a72", ("+neon",), num_cores=4)


def runnable() -> list[Target]:
    """Return targets of rising vector width whose code this machine can run."""
    if platform.machine() != "x86_64":
        return [Target("aarch64-linux-gnu", "generic", ("+neon",))]
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    has = set(flags.split(":")[1].split())
    return [Target("x86_64-linux-gnu", level) for level, needed in reversed(X86_LEVELS) if needed <= has]


def with_bytes() -> list[Target]:
    """Return the runnable targets, and the widest with its instruction for bytes, if this machine has it."""
    targets = runnable()
    has = Path("/proc/cpuinfo").read_text()
    if targets[-1].cpu == "x86-64-v4" and "avx512_vnni" in has:
        targets.append(replace(targets[-1], features=("+avx512vnni",)))
    return targets


@dataclass(frozen=True)
class Compiler:
    """Builds a module of one function for a target, and runs it."""

    target: Target

    def on(self, cores: int) -> "Compiler":
        return replace(self, target=replace(self.target, num_cores=cores))

    def build(self, module: Any) -> Compiled:
        words = {"kind": "llvm", "mtriple": self.target.triple, "mcpu": self.target.cpu}
        words |= {"num-cores": self.target.num_cores}
        if self.target.features:
            words["mattr"] = list(self.target.features)
        return compile_module(module, tvm.target.Target(words), machine_for(self.target))

    def run(self, module: Any, *inputs: np.ndarray) -> tuple[Any, Compiled]:
        """Return the result as an array, or a list of them, and what compiling told."""
        compiled = self.build(module)
        result = relax.VirtualMachine(compiled.executable, tvm.cpu())["main"](*map(tvm.runtime.tensor, inputs))
        return (result.numpy() if hasattr(result, "numpy") else [part.numpy() for part in result]), compiled

    def run_onnx(self, model: Any, *inputs: np.ndarray) -> tuple[Any, Compiled]:
        spell_out_convolutions(model.graph)
        return self.run(from_onnx(model, keep_params_in_input=False), *inputs)

    def assembly_of_onnx(self, model: Any) -> str:
        """Return the assembly that a model becomes."""
        return assembly(self.build(from_onnx(model, keep_params_in_input=False)).executable.mod)


def assembly(module: Any) -> str:
    """Return the assembly of a built module and of what it imports."""
    own = module.inspect_source("asm") if module.kind == "llvm" else ""
    return own + "".join(assembly(part) for part in module.imports)


@pytest.fixture(params=runnable(), ids=lambda target: target.cpu)
def each_cpu(request) -> Compiler:
    """Return a compiler for each width of vectors that this machine has."""
    return Compiler(request.param)


@pytest.fixture(params=with_bytes(), ids=lambda target: target.cpu + "".join(target.features))
def each_integer_cpu(request) -> Compiler:
    """Return a compiler for each width of vectors that this machine has, and for its instructions for bytes."""
    return Compiler(request.param)


@pytest.fixture
def compiler_for() -> Callable[[Target], Compiler]:
    """Return what makes a compiler for a target; what it builds may not run here."""
    return Compiler


@pytest.fixture
def cpu() -> Compiler:
    """Return a compiler for the widest vectors that this machine has."""
    return Compiler(runnable()[-1])


@pytest.fixture
def pi4() -> Compiler:
    """Return a compiler for a Raspberry Pi 4; what it builds cannot run here."""
    return Compiler(PI4)


@pytest.fixture
def module_of() -> Callable[..., Any]:
    """Return a function that makes a module of a function `body(builder, *variables)` of float inputs."""

    def make(body: Body, *shapes: tuple[int, ...]) -> Any:
        builder = relax.BlockBuilder()
        variables = [relax.Var(f"x{at}", relax.TensorType(shape, "float32")) for at, shape in enumerate(shapes)]
        with builder.function("main", variables):
            with builder.dataflow():
                result = builder.emit_output(builder.normalize(body(*variables)))
            builder.emit_func_output(result)
        return builder.get()

    return make


@pytest.fixture
def numbers() -> Callable[..., np.ndarray]:
    """Return a function that gives float numbers of a shape, the same in every run."""
    random = np.random.default_rng(0)
    return lambda *shape: random.standard_normal(shape, dtype=np.float32)
