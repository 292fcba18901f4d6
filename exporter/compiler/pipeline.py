"""From a Relax module to a built one: graph passes, kernel rules and code generation in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tvm
from tvm import relax, tirx
from tvm.relax import backend, transform

from hwloop.exporter.compiler import fast_math
from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.passes import PASSES
from hwloop.exporter.compiler.rules import RULES


@dataclass(frozen=True)
class Compiled:
    """A built module; `scheduled` has the rule of each kernel by name, `unscheduled` the kernels that none matched."""

    executable: Any
    scheduled: dict[str, str]
    unscheduled: tuple[str, ...]


def compile_module(module: Any, target: Any, machine: Machine) -> Compiled:
    """Compile a Relax module, straight from a frontend, for a CPU; `target` is TVM's word for what `machine` is."""
    fast_math.install()
    with target, tvm.transform.PassContext(opt_level=3):
        for run in PASSES:
            module = run(module, machine)
        module = _fused(module)
        module, scheduled, unscheduled = schedule_kernels(module, machine)
        module = _lowered(module)
        executable = relax.build(module, target, relax_pipeline=None)
    return Compiled(executable, scheduled, unscheduled)


def schedule_kernels(module: Any, machine: Machine) -> tuple[Any, dict[str, str], tuple[str, ...]]:
    """Return the module with each kernel as its rule made it, the rule's name by kernel, and the kernels left alone."""
    scheduled, unscheduled = {}, []
    for variable, function in module.functions.items():
        if not isinstance(function, tirx.PrimFunc):
            continue
        for rule in RULES:
            made = rule.apply(function, machine)
            if made is not None:
                module[variable] = made
                scheduled[variable.name_hint] = rule.name
                break
        else:
            unscheduled.append(variable.name_hint)
    return module, scheduled, tuple(sorted(unscheduled))


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
