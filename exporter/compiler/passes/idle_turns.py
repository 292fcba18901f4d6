"""Transposes that change nothing in memory become reshapes, which cost nothing."""

from __future__ import annotations

from typing import Any

from tvm import ir, relax, tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.passes.shapes import shape_of
from hwloop.exporter.compiler.passes.views import look_through
from hwloop.exporter.compiler.rules.stages import always_equal, flat


def drop_idle_turns(module: Any, machine: Machine) -> Any:
    """Return the module with chains of transposes and reshapes that keep the order of numbers as one reshape each."""
    del machine
    dropper = _Dropper(module)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            dropper.builder_.update_func(variable, dropper.visit_expr(function))
    return relax.transform.DeadCodeElimination()(dropper.builder_.finalize())


@relax.expr_functor.mutator
class _Dropper(relax.PyExprMutator):
    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        shape = shape_of(call)
        if not isinstance(call.op, ir.Op) or call.op.name not in ("relax.permute_dims", "relax.reshape") or not shape:
            return call
        known = shape_of(call.args[0])
        if known is None:
            return call
        bound = look_through(self.builder_.normalize(call), self.lookup_binding, scales=False)
        before = shape_of(bound.source)
        if bound.source.same_as(call) or before is None:
            return call
        axes = [tirx.Var(f"i{number}", "int64") for number in range(len(shape))]
        if not always_equal(flat(bound.place(axes), before), flat(axes, shape), axes, shape):
            return call
        return bound.source if before == shape else relax.op.reshape(bound.source, shape)
