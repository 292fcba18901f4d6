"""Chains of elementwise operators from one quantized tensor to the next, as a table of what each byte becomes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tvm import ir, relax, te

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.passes.quantization import dequantized
from hwloop.exporter.compiler.passes.quantized_views import DEQUANTIZE, QUANTIZE, is_call, number_of
from hwloop.exporter.compiler.passes.shapes import shape_of

BYTES = ("int8", "uint8")
COSTLY = frozenset({"relax.erf", "relax.exp", "relax.tanh", "relax.sigmoid"})
OPAQUE = 8  # TVM's word for a kernel that is fused with nothing: in a product's tile, a look-up a number is slow
OPERATORS: dict[str, Callable[..., Any]] = {
    "relax.add": np.add,
    "relax.subtract": np.subtract,
    "relax.multiply": np.multiply,
    "relax.divide": np.divide,
    "relax.maximum": np.maximum,
    "relax.minimum": np.minimum,
    "relax.sqrt": np.sqrt,
    "relax.exp": np.exp,
    "relax.tanh": np.tanh,
    "relax.erf": np.vectorize(math.erf, otypes=[np.float32]),
    "relax.sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relax.nn.relu": lambda x: np.maximum(x, 0),
}


def tabulate_bytes(module: Any, machine: Machine) -> Any:
    """Return the module with each quantization looked up that depends on the bytes of one tensor, place by place.

    Only where an exponential function or its like is on the way: other arithmetic is faster done than looked up.
    What a byte becomes is computed here, once for each of the 256, in the order in which the model says it.
    """
    del machine
    tabulator = _Tabulator(module)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            tabulator.builder_.update_func(variable, tabulator.visit_expr(function))
    return relax.transform.DeadCodeElimination()(tabulator.builder_.finalize())


@dataclass
class _Trace:
    """What an expression was found to stem from, and whether an operator on the way costs more than a look-up."""

    sources: list[Any] = field(default_factory=list)
    costly: bool = False


@relax.expr_functor.mutator
class _Tabulator(relax.PyExprMutator):
    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._kernels: set[Any] = set()  # those that look up

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if not is_call(call, QUANTIZE) or str(call.attrs.out_dtype) not in BYTES:
            return call
        trace = _Trace()
        with np.errstate(all="ignore"):
            table = self._quantized(call, trace)
        if table is None or not trace.costly or any(not source.same_as(trace.sources[0]) for source in trace.sources):
            return call
        attributes = {"op_pattern": OPAQUE}
        found = self.builder_.call_te(
            _look_up, trace.sources[0], relax.const(table), primfunc_name_hint="look_up", primfunc_attrs=attributes
        )
        self._kernels.add(found.args[0])
        return found

    def _bytes(self, value: Any, trace: _Trace) -> Any | None:
        """Return what a tensor of bytes holds for each byte of the tensor that it stems from."""
        made = self.lookup_binding(value) if isinstance(value, relax.Var) else None
        if is_call(made, QUANTIZE):
            deeper = _Trace()
            table = self._quantized(made, deeper)
            if table is not None:
                trace.sources += deeper.sources
                trace.costly |= deeper.costly
                return table
        elif is_call(made, "relax.call_tir") and made.args[0] in self._kernels:
            source, table = made.args[1].fields
            trace.sources.append(source)
            trace.costly = True
            return table.value.numpy()
        if str(value.ty.dtype) not in BYTES:
            return None
        trace.sources.append(value)
        limits = np.iinfo(str(value.ty.dtype))
        return np.arange(limits.min, limits.max + 1).astype(limits.dtype)

    def _quantized(self, call: Any, trace: _Trace) -> Any | None:
        values = self._floats(call.args[0], trace)
        scale, zero = (number_of(part) for part in call.args[1:])
        if values is None or scale is None or zero is None or not trace.sources:
            return None
        limits = np.iinfo(str(call.attrs.out_dtype))
        return np.clip(np.rint(values / scale) + zero, limits.min, limits.max).astype(limits.dtype)

    def _floats(self, value: Any, trace: _Trace) -> Any | None:
        number = number_of(value)
        if number is not None:
            return number if number.dtype == np.float32 else None
        made = self.lookup_binding(value) if isinstance(value, relax.Var) else None
        if is_call(made, DEQUANTIZE):
            number, scale, zero = (number_of(part) for part in made.args)
            if scale is None or zero is None:
                return None
            table = self._bytes(made.args[0], trace) if number is None else number
            return None if table is None else dequantized(table, scale, zero, 0)
        if not isinstance(made, ir.Call) or not isinstance(made.op, ir.Op) or made.op.name not in OPERATORS:
            return None
        sides = [self._floats(argument, trace) for argument in made.args]
        if any(side is None for side in sides) or shape_of(made) != shape_of(trace.sources[0]):
            return None
        trace.costly |= made.op.name in COSTLY
        return np.float32(OPERATORS[made.op.name](*sides))


def _look_up(tensor: Any, table: Any) -> Any:
    least = int(np.iinfo(str(tensor.dtype)).min)
    return te.compute(tensor.shape, lambda *place: table[tensor[place].astype("int32") - least], "looked_up")
