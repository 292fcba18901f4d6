"""What can be computed before the code runs, is: shape arithmetic, and constants in another layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import ir, relax

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.passes.shapes import shape_of

Evaluate = Callable[..., Any]


def fold_constants(module: Any, machine: Machine) -> Any:
    """Return the module with calls on constants evaluated by numpy; TVM's own pass compiles a kernel for each."""
    del machine
    folder = _Folder(module)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            folder.builder_.update_func(variable, folder.visit_expr(function))
    passes = [relax.transform.CanonicalizeBindings(), relax.transform.DeadCodeElimination()]
    return tvm.transform.Sequential(passes)(folder.builder_.finalize())


@relax.expr_functor.mutator
class _Folder(relax.PyExprMutator):
    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        evaluate = _TABLE.get(call.op.name) if isinstance(call.op, ir.Op) else None
        if evaluate is None:
            return call
        known = [self._known(argument) for argument in call.args]
        if any(value is None for value in known):
            return call
        shape = shape_of(call)
        if shape is None:
            return call
        result = np.asarray(evaluate(call.attrs, *known), str(call.ty.dtype), order="C").reshape(shape)
        return relax.const(result, str(call.ty.dtype))

    def _known(self, value: Any) -> Any | None:
        """Return the value of a constant or a shape."""
        if isinstance(value, relax.Var):
            value = self.lookup_binding(value)
        if isinstance(value, ir.GenericConst):
            return value.value.numpy()
        if isinstance(value, relax.ShapeExpr):
            return _sizes(value)
        if isinstance(value, ir.Call) and value.op == ir.Op.get("relax.shape_of"):
            shape = shape_of(value.args[0])
            return None if shape is None else np.array(shape, "int64")
        return None


def _sizes(shape: Any) -> Any | None:
    sizes = list(shape.values)
    return np.array([int(size) for size in sizes]) if all(hasattr(size, "value") for size in sizes) else None


def _permute(attributes: Any, value: Any) -> Any:
    return np.transpose(value, None if attributes.axes is None else [int(axis) for axis in attributes.axes])


def _take(attributes: Any, value: Any, index: Any) -> Any:
    return np.take(value, index, None if attributes.axis is None else int(attributes.axis), mode="wrap")


def _broadcast(_attributes: Any, value: Any, shape: Any) -> Any:
    return np.broadcast_to(value, [int(size) for size in shape])


def _plain(function: Callable[..., Any]) -> Evaluate:
    return lambda _attributes, *values: function(*values)


# The results are given the shape that TVM inferred, so those of pure reshaping need nothing here.
_TABLE: dict[str, Evaluate] = {
    "relax.permute_dims": _permute,
    "relax.take": _take,
    "relax.broadcast_to": _broadcast,
    **{f"relax.{name}": _plain(lambda value, *_: value) for name in ("reshape", "expand_dims", "squeeze", "flatten")},
    **{f"relax.{name}": _plain(lambda value, *_: value) for name in ("shape_to_tensor", "astype")},
    **{
        f"relax.{name}": _plain(getattr(np, name))
        for name in (
            "add",
            "subtract",
            "multiply",
            "divide",
            "less",
            "greater",
            "equal",
            "where",
            "maximum",
            "minimum",
            "isnan",
        )
    },
}
