"""Views of dequantized tensors become views of the 8-bit ones, and a quantization that undoes one before it goes."""

from __future__ import annotations

from typing import Any, TypeGuard

import tvm
from tvm import ir, relax

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.passes.views import one_step

QUANTIZE, DEQUANTIZE = "relax.quantize", "relax.dequantize"


def move_views(module: Any, machine: Machine) -> Any:
    """Return the module with each transpose, reshape, slice or split of a dequantized tensor before its dequantize.

    Only for tensors with one scale; those with a scale a channel are constants, which products read through.
    """
    del machine
    mover = _Mover(module)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            mover.builder_.update_func(variable, mover.visit_expr(function))
    transform = relax.transform  # a tensor that is dequantized twice would have its views twice
    passes = [transform.CanonicalizeBindings(), transform.EliminateCommonSubexpr(), transform.DeadCodeElimination()]
    return tvm.transform.Sequential(passes)(mover.builder_.finalize())


def is_call(value: Any, name: str) -> TypeGuard[Any]:
    """Return whether a value is a call of one operator."""
    return isinstance(value, ir.Call) and isinstance(value.op, ir.Op) and value.op.name == name


def number_of(value: Any) -> Any | None:
    """Return the number that a constant of one element holds, as numpy has it; None for anything else."""
    if not isinstance(value, ir.GenericConst):
        return None
    array = value.value.numpy()
    return array.reshape(()) if array.size == 1 else None


def along(parameter: Any, values: Any, axis: int) -> Any:
    """Return an array's scale or zero point, one or one a channel of an axis, in a shape that broadcasts against it."""
    if parameter.size == 1:
        return parameter.reshape(())
    shape = [1] * values.ndim
    shape[axis] = -1
    return parameter.reshape(shape)


@relax.expr_functor.mutator
class _Mover(relax.PyExprMutator):
    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        before = self._dequantize(call.args[0]) if call.args else None
        if before is None:
            return call
        if is_call(call, QUANTIZE):
            return before.args[0] if _undoes(call, before) else call
        view = one_step(call)
        if view is None or view.scale != 1:
            return call
        moved = self.builder_.emit(ir.Call(call.op, [before.args[0], *call.args[1:]], call.attrs))
        return _like(before, moved)

    def visit_tuple_getitem_(self, item: Any) -> Any:
        item = super().visit_tuple_getitem_(item)
        parts = self.lookup_binding(item.tuple_value) if isinstance(item.tuple_value, relax.Var) else item.tuple_value
        before = self._dequantize(parts.args[0]) if is_call(parts, "relax.split") else None
        if before is None:
            return item
        split = self.builder_.emit(ir.Call(parts.op, [before.args[0]], parts.attrs))
        return _like(before, self.builder_.emit(relax.TupleGetItem(split, item.index)))

    def _dequantize(self, value: Any) -> Any | None:
        """Return the dequantization, with one scale, that makes a value; None if another call does."""
        made = self.lookup_binding(value) if isinstance(value, relax.Var) else None
        single = is_call(made, DEQUANTIZE) and all(number_of(part) is not None for part in made.args[1:])
        return made if single else None


def _like(dequantize: Any, values: Any) -> Any:
    return relax.op.dequantize(values, *dequantize.args[1:], axis=0, out_dtype=str(dequantize.attrs.out_dtype))


def _undoes(quantize: Any, dequantize: Any) -> bool:
    pairs = [(number_of(new), number_of(old)) for new, old in zip(quantize.args[1:], dequantize.args[1:], strict=True)]
    same = all(new is not None and old is not None and new == old for new, old in pairs)
    return same and str(quantize.attrs.out_dtype) == str(dequantize.args[0].ty.dtype)
