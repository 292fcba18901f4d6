"""Maxima and minima with a number, which the frontend hands over as kernels, as the operators that they are."""

from __future__ import annotations

from typing import Any

from tvm import ir, relax, tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.rules.stages import always_equal, flat, read_stages

OPERATORS = {tirx.Max: relax.op.maximum, tirx.Min: relax.op.minimum}


def restore_clips(module: Any, machine: Machine) -> Any:
    """Return the module with each call of a kernel that is an elementwise max or min written as an operator.

    Other passes then see through it, and may give it another layout.
    """
    del machine
    restorer = _Restorer(module)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            restorer.builder_.update_func(variable, restorer.visit_expr(function))
    return relax.transform.DeadCodeElimination()(restorer.builder_.finalize())


@relax.expr_functor.mutator
class _Restorer(relax.PyExprMutator):
    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._module = module

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if call.op != ir.Op.get("relax.call_tir") or len(call.args[1].fields) != 2:
            return call
        make = _operator(self._module[call.args[0]])
        return make(*call.args[1].fields) if make else call


def _operator(kernel: Any) -> Any | None:
    """Return the operator of a kernel `result[i] = max(first[i], second)`, or min; None of any other."""
    stages = read_stages(kernel)
    if stages is None or len(stages) != 1 or len(kernel.params) != 3:
        return None
    (stage,) = stages
    make = OPERATORS.get(type(stage.value))
    if make is None or not all(isinstance(side, ir.TensorLoad) for side in (stage.value.a, stage.value.b)):
        return None
    first, second = stage.value.a, stage.value.b
    if not (
        first.source.same_as(kernel.params[0])
        and second.source.same_as(kernel.params[1])
        and len(second.source.shape) == 0
    ):
        return None
    shape = [int(size) for size in first.source.shape]
    same = tuple(shape) == stage.extents and always_equal(
        flat(first.indices, shape), flat(stage.axes, shape), stage.axes, shape
    )
    return make if same else None
