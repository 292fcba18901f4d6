"""Quantizing and dequantizing as plain arithmetic, which fuses with what is around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import ir, relax, te, tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.passes.quantized_views import DEQUANTIZE, QUANTIZE, along, is_call, number_of
from hwloop.exporter.compiler.passes.shapes import shape_of


def lower_quantization(module: Any, machine: Machine) -> Any:
    """Return the module with arithmetic for each quantize and dequantize with one scale; constants are evaluated.

    Every call that reads a dequantized tensor dequantizes it itself, so that the 8-bit one is what lies in memory.
    """
    del machine
    lowering = _Lowering(module)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            lowering.builder_.update_func(variable, lowering.visit_expr(function))
    passes = [relax.transform.CanonicalizeBindings(), relax.transform.DeadCodeElimination()]
    return tvm.transform.Sequential(passes)(lowering.builder_.finalize())


@relax.expr_functor.mutator
class _Lowering(relax.PyExprMutator):
    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        arguments = [self._dequantized(argument) for argument in call.args]
        if any(new is not old for new, old in zip(arguments, call.args, strict=True)):
            call = self.builder_.normalize(ir.Call(call.op, arguments, call.attrs, call.ty_args))
        return self._quantized(call) if is_call(call, QUANTIZE) else call

    def _dequantized(self, value: Any) -> Any:
        made = self.lookup_binding(value) if isinstance(value, relax.Var) else None
        if not is_call(made, DEQUANTIZE) or str(made.attrs.out_dtype) != "float32":
            return value
        values, scale, zero = made.args
        if all(isinstance(part, ir.GenericConst) for part in made.args):
            numbers, factors, origins = (part.value.numpy() for part in made.args)
            return relax.const(dequantized(numbers, factors, origins, int(made.attrs.axis)), "float32")
        factor, origin = number_of(scale), number_of(zero)
        if factor is None or origin is None:
            return value
        number = self.builder_.emit(relax.op.astype(values, "float32"))
        if origin:
            number = self.builder_.emit(relax.op.subtract(number, parameter(origin, number)))
        return self.builder_.emit(relax.op.multiply(number, parameter(factor, number)))

    def _quantized(self, call: Any) -> Any:
        values, scale, zero = call.args
        dtype = str(call.attrs.out_dtype)
        if dtype not in ("int8", "uint8") or str(values.ty.dtype) != "float32":
            return call
        factor, origin = number_of(scale), number_of(zero)
        if factor is not None and origin is not None:
            inverse, offset = relax.const(np.array([1 / factor], "float32")), relax.const(np.array([origin], "float32"))
        elif shape_of(scale) == () and shape_of(zero) == ():
            inverse = self.builder_.emit(relax.op.divide(relax.const([1.0], "float32"), scale))
            offset = self.builder_.emit(relax.op.reshape(relax.op.astype(zero, "float32"), (1,)))
        else:
            return call
        return self.builder_.call_te(_quantize, values, inverse, offset, dtype, primfunc_name_hint="quantize")


def parameter(number: Any, tensor: Any) -> Any:
    """Return a float constant to compute with a tensor.

    It has one dimension where the tensor has any: TVM writes a number of none into the kernel, and then no two layers
    share one.
    """
    return relax.const(np.full((1,) if shape_of(tensor) else (), number, "float32"))


def dequantized(values: Any, scale: Any, zero: Any, axis: int) -> Any:
    """Return a quantized array's floats; scale and zero point are one, or one for each place along an axis."""
    numbers = values.astype("int32") - along(zero.astype("int32"), values, axis)
    return (numbers * along(scale, values, axis)).astype("float32")


def _quantize(x: Any, inverse: Any, offset: Any, dtype: str) -> Any:
    least, greatest = (tirx.const(float(bound), "float32") for bound in (np.iinfo(dtype).min, np.iinfo(dtype).max))

    def element(*place: Any) -> Any:
        number = tirx.nearbyint(x[place] * inverse[0]) + offset[0]
        return tirx.max(tirx.min(number, greatest), least).astype("int32").astype(dtype)

    return te.compute(x.shape, element, "quantized")
