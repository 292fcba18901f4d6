"""From a Relax module to a built one: graph passes, kernel rules and code generation in their order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm
from tvm import relax
from tvm.relax import backend, transform, vm_build

from hwloop.exporter.compiler import fast_math
from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.objects import KernelObjects
from hwloop.exporter.compiler.passes import PASSES
from hwloop.exporter.compiler.passes.naming import rename_kernels
from hwloop.exporter.compiler.scheduling import schedule_kernels
from hwloop.exporter.schedules import Schedules


@dataclass(frozen=True)
class Compiled:
    """A built module; `scheduled` has the rule of each kernel by name, `unscheduled` the kernels that none matched.

    `digests` names every kernel by its content, and `tuned` those that a schedule was known for. Kernels in `objects`
    are not in the executable, and must be linked to it.
    """

    executable: Any
    scheduled: dict[str, str]
    unscheduled: tuple[str, ...]
    digests: tuple[str, ...] = ()
    tuned: tuple[str, ...] = ()
    objects: tuple[Path, ...] = ()


def compile_module(
    module: Any,
    target: Any,
    machine: Machine,
    schedules: Schedules | None = None,
    objects: KernelObjects | None = None,
) -> Compiled:
    """Compile a Relax module, straight from a frontend, for a CPU; `target` is TVM's word for what `machine` is.

    `schedules` has other ways than the rules' own to make some kernels, by their digests. With `objects`, kernels that
    were compiled before are taken from there.
    """
    fused = fused_module(module, target, machine)
    with building(target):
        made = schedule_kernels(fused, machine, schedules)
        if objects:
            names = objects.names(made.module, made.digests)
            objects.label(names, made.rules)
            named = rename_kernels(made.module, names)
            executable, files = _build_apart(named, target, objects)
        else:
            executable, files = build(made.module, target), []
    digests = tuple(made.digests.values())
    return Compiled(executable, made.rules, made.unscheduled, digests, tuple(made.used), tuple(files))


def fused_module(module: Any, target: Any, machine: Machine) -> Any:
    """Return a module after all passes over its graph: a main function that calls kernels, which no rule has seen."""
    with building(target):
        for run in PASSES:
            module = run(module, machine)
        return _fused(module)


def build(module: Any, target: Any) -> Any:
    """Return the executable of a module whose kernels are made; to be called within `building`."""
    return relax.build(_lowered(module), target, relax_pipeline=None)


def _build_apart(module: Any, target: Any, objects: KernelObjects) -> tuple[Any, list[Path]]:
    """Return the executable of a module without its kernels, and their object files."""
    builder = relax.ExecBuilder()
    kernels = vm_build._vmcodegen(builder, _lowered(module))
    files = objects.objects(dict(kernels.functions.items()), target)
    return vm_build._vmlink(builder, target, params={}), files


@contextlib.contextmanager
def building(target: Any) -> Iterator[None]:
    """Have TVM work as this compiler needs it, for the length of the block."""
    fast_math.install()
    with target, tvm.transform.PassContext(opt_level=3):
        yield


def _fused(module: Any) -> Any:
    passes = [
        backend.DispatchSampling(),
        backend.DispatchSortScan(),
        transform.LegalizeOps(),
        transform.AnnotateTIROpPattern(),
        transform.FoldConstant(),
        transform.FuseOps(),
        transform.FuseTIR(),
        transform.DeadCodeElimination(),
    ]
    return tvm.transform.Sequential(passes)(module)


def _lowered(module: Any) -> Any:
    passes = [
        transform.RewriteDataflowReshape(),
        transform.ToNonDataflow(),
        transform.RemovePurityChecking(),
        transform.CallTIRRewrite(),
        transform.StaticPlanBlockMemory(),
        transform.LowerAllocTensor(),
        transform.KillAfterLastUse(),
        transform.LowerRuntimeBuiltin(),
        transform.ComputePrimValue(),
        transform.VMShapeLower(),
        transform.AttachGlobalSymbol(),
    ]
    return tvm.transform.Sequential(passes)(module)
