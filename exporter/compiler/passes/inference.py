"""Operators that do something only in training, or are said in a roundabout way, in the words of inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import ir, relax

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.passes.shapes import shape_of
from hwloop.exporter.compiler.passes.uses import uses_of


def simplify_for_inference(module: Any, machine: Machine) -> Any:
    """Return the module with batch norms as a factor and a shift a channel, no dropout, and sums as additions.

    The factor goes into the weights of a convolution that it alone follows.
    """
    del machine
    simplifier = _Simplifier(module)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            simplifier.uses = uses_of(function)
            simplifier.builder_.update_func(variable, simplifier.visit_expr(function))
    passes = [relax.transform.CanonicalizeBindings(), relax.transform.DeadCodeElimination()]
    return tvm.transform.Sequential(passes)(simplifier.builder_.finalize())


@relax.expr_functor.mutator
class _Simplifier(relax.PyExprMutator):
    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.uses: dict[Any, int] = {}
        self._lone: set[Any] = set()  # new variables whose old ones are read once

    def visit_var_binding_(self, binding: Any) -> None:
        super().visit_var_binding_(binding)
        if self.uses.get(binding.var, 0) == 1:
            self._lone.add(self.visit_expr(binding.var))

    def visit_tuple_getitem_(self, item: Any) -> Any:
        source = self.visit_expr(item.tuple_value)
        call = self.lookup_binding(source) if isinstance(source, relax.Var) else source
        item = relax.TupleGetItem(source, item.index)
        if not isinstance(call, ir.Call) or not isinstance(call.op, ir.Op) or item.index:
            return item
        if call.op.name == "relax.nn.dropout":
            return call.args[0]
        if call.op.name == "relax.nn.batch_norm" and not call.attrs.training:
            made = self._batch_norm(call)
            return item if made is None else made
        return item

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if call.op != ir.Op.get("relax.sum") or call.attrs.keepdims or call.attrs.axis is None:
            return call
        stacked = self.lookup_binding(call.args[0]) if isinstance(call.args[0], relax.Var) else None
        if not isinstance(stacked, ir.Call) or stacked.op != ir.Op.get("relax.stack"):
            return call
        parts = stacked.args[0]
        parts = self.lookup_binding(parts) if isinstance(parts, relax.Var) else parts
        axis = 0 if stacked.attrs.axis is None else int(stacked.attrs.axis)
        if not isinstance(parts, relax.Tuple) or [int(number) for number in call.attrs.axis] != [axis]:
            return call
        total, *others = (self._unbroadcast(part) for part in parts.fields)
        for other in others:
            total = self.builder_.emit(relax.op.add(total, other))
        return total if shape_of(total) == shape_of(call) else call

    def _unbroadcast(self, value: Any) -> Any:
        bound = self.lookup_binding(value) if isinstance(value, relax.Var) else None
        if not isinstance(bound, ir.Call) or bound.op != ir.Op.get("relax.broadcast_to"):
            return value
        return bound.args[0] if shape_of(bound.args[0]) == shape_of(value) else value

    def _batch_norm(self, call: Any) -> Any | None:
        data, *weights = call.args
        shape, attributes = shape_of(data), call.attrs
        if shape is None or not all(isinstance(weight, ir.GenericConst) for weight in weights):
            return None
        gamma, beta, mean, variance = (weight.value.numpy().astype(np.float64) for weight in weights)
        factor = 1 / np.sqrt(variance + attributes.epsilon)
        factor = factor * gamma if attributes.scale else factor
        shift = (beta if attributes.center else 0) - mean * factor
        axis = int(attributes.axis) % len(shape)
        wide = [1] * axis + [-1] + [1] * (len(shape) - axis - 1)
        dtype = str(data.ty.dtype)

        def constant(numbers: Any) -> Any:
            return relax.const(np.asarray(numbers).reshape(wide).astype(dtype))

        convolution, bias = self._convolution(data)
        if convolution is None or axis != 1:
            return relax.op.add(self.builder_.emit(relax.op.multiply(data, constant(factor))), constant(shift))
        image, weight = convolution.args
        numbers = weight.value.numpy()
        scaled = (numbers * factor.reshape(-1, *[1] * (numbers.ndim - 1))).astype(numbers.dtype)
        made = ir.Call(convolution.op, [image, relax.const(scaled)], convolution.attrs, convolution.ty_args)
        return relax.op.add(self.builder_.emit(made), constant(shift + bias * factor))

    def _convolution(self, value: Any) -> tuple[Any, Any]:
        """Return the convolution by constants that nothing but a bias follows up to `value`, and that bias."""
        bias: Any = 0.0
        bound = self._bound_once(value)
        if bound is not None and bound.op == ir.Op.get("relax.add") and isinstance(bound.args[1], ir.GenericConst):
            bias = bound.args[1].value.numpy().astype(np.float64)
            if bias.size not in (1, bias.shape[1] if bias.ndim == 4 else -1):
                return None, 0
            bias = bias.reshape(-1)
            bound = self._bound_once(bound.args[0])
        if bound is None or bound.op != ir.Op.get("relax.nn.conv2d") or bound.attrs.data_layout != "NCHW":
            return None, 0
        return (bound, bias) if isinstance(bound.args[1], ir.GenericConst) else (None, 0)

    def _bound_once(self, value: Any) -> Any | None:
        if not isinstance(value, relax.Var) or value not in self._lone:
            return None
        bound = self.lookup_binding(value)
        return bound if isinstance(bound, ir.Call) and isinstance(bound.op, ir.Op) else None
