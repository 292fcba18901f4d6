"""Images with their channels last, from the first convolution to where something else reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import ir, relax

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.passes.shapes import shape_of

TO_LAST = [0, 2, 3, 1]
TO_FIRST = [0, 3, 1, 2]
IMAGE = 4
ELEMENTWISE = frozenset(
    f"relax.{name}"
    for name in (
        *("add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "clip", "where"),
        *("nn.relu", "nn.leakyrelu", "nn.gelu", "nn.silu", "sigmoid", "tanh", "exp", "log", "sqrt", "rsqrt", "erf"),
        *("abs", "negative", "square", "nn.relu6", "nn.softplus", "astype"),
    )
)
REDUCTIONS = frozenset(f"relax.{name}" for name in ("mean", "max", "min", "sum"))


def channels_last(module: Any, machine: Machine) -> Any:
    """Return the module with convolutions, pooling and what is between them on [batch, height, width, channels].

    Each result is turned back for whoever reads it as it was; where nobody does, that goes again.
    """
    del machine
    turner = _Turner(module)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            turner.builder_.update_func(variable, turner.visit_expr(function))
    return relax.transform.DeadCodeElimination()(turner.builder_.finalize())


@relax.expr_functor.mutator
class _Turner(relax.PyExprMutator):
    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if not isinstance(call.op, ir.Op):
            return call
        name = call.op.name
        make = _TABLE.get(name) or (_elementwise if name in ELEMENTWISE else _reduced if name in REDUCTIONS else None)
        made = make(self, call) if make else None
        return call if made is None else made

    def last(self, value: Any) -> Any:
        """Return an image with its channels last; a constant is turned here and now."""
        if isinstance(value, ir.GenericConst):
            return relax.const(np.ascontiguousarray(np.transpose(value.value.numpy(), TO_LAST)))
        known = self.known(value)
        return self.builder_.emit(relax.op.permute_dims(value, TO_LAST)) if known is None else known

    def known(self, value: Any) -> Any | None:
        """Return the image with channels last that a value was turned back from."""
        bound = self.lookup_binding(value) if isinstance(value, relax.Var) else None
        if not isinstance(bound, ir.Call) or bound.op != ir.Op.get("relax.permute_dims") or bound.attrs.axes is None:
            return None
        return bound.args[0] if [int(axis) for axis in bound.attrs.axes] == TO_FIRST else None

    def is_constant(self, value: Any) -> bool:
        """Return whether a value is a constant, or a dequantized one."""
        made = self.lookup_binding(value) if isinstance(value, relax.Var) else value
        if isinstance(made, ir.Call) and made.op == ir.Op.get("relax.dequantize"):
            return all(isinstance(part, ir.GenericConst) for part in made.args)
        return isinstance(made, ir.GenericConst)

    def first(self, value: Any) -> Any:
        """Return an image that was made with channels last as others expect it."""
        return relax.op.permute_dims(self.builder_.emit(value), TO_FIRST)


def _convolution(turner: _Turner, call: Any) -> Any | None:
    attributes, (data, weight) = call.attrs, call.args
    if attributes.data_layout != "NCHW" or attributes.kernel_layout != "OIHW":
        return None
    if not turner.is_constant(weight) or shape_of(data) is None:
        return None
    return turner.first(
        relax.op.nn.conv2d(
            turner.last(data),
            weight,
            strides=attributes.strides,
            padding=attributes.padding,
            dilation=attributes.dilation,
            groups=attributes.groups,
            data_layout="NHWC",
            kernel_layout="OIHW",
        )
    )


def _line_convolution(turner: _Turner, call: Any) -> Any | None:
    """Turn a convolution over lines, as one over images of height 1."""
    attributes, (data, weight) = call.attrs, call.args
    shape, result = shape_of(data), shape_of(call)
    if attributes.data_layout != "NCW" or attributes.kernel_layout != "OIW" or not shape or not result:
        return None
    if not isinstance(weight, ir.GenericConst):
        return None
    first, last = attributes.padding
    convolution = relax.op.nn.conv2d(
        turner.builder_.emit(relax.op.reshape(data, (*shape[:2], 1, shape[2]))),
        relax.const(weight.value.numpy()[:, :, None]),
        strides=(1, attributes.strides[0]),
        padding=(0, first, 0, last),
        dilation=(1, attributes.dilation[0]),
        groups=attributes.groups,
    )
    image = _convolution(turner, turner.builder_.normalize(convolution))
    return relax.op.reshape(turner.builder_.emit(image), result)


def _pooling(make: Callable[..., Any]) -> Callable[[_Turner, Any], Any | None]:
    def turned(turner: _Turner, call: Any) -> Any | None:
        attributes, (data,) = call.attrs, call.args
        if attributes.layout != "NCHW":
            return None
        return turner.first(
            make(
                turner.last(data),
                pool_size=attributes.pool_size,
                strides=attributes.strides,
                padding=attributes.padding,
                dilation=attributes.dilation,
                ceil_mode=attributes.ceil_mode,
                count_include_pad=attributes.count_include_pad,
                layout="NHWC",
            )
        )

    return turned


def _elementwise(turner: _Turner, call: Any) -> Any | None:
    """Turn an operator if it reads an image that was turned, and otherwise such images, constants and numbers."""
    shape = shape_of(call)
    if shape is None or len(shape) != IMAGE or all(turner.known(value) is None for value in call.args):
        return None
    sides = [_side(turner, value) for value in call.args]
    if any(side is None for side in sides):
        return None
    return turner.first(ir.Call(call.op, sides, call.attrs, call.ty_args))


def _side(turner: _Turner, value: Any) -> Any | None:
    shape = shape_of(value)
    if shape is None:
        return value if isinstance(value, ir.PrimExpr) else None
    if len(shape) == IMAGE:
        return turner.last(value)
    if len(shape) == 0:
        return value
    if not isinstance(value, ir.GenericConst):
        return None
    return turner.last(relax.const(value.value.numpy().reshape((1,) * (IMAGE - len(shape)) + shape)))


def _reduced(turner: _Turner, call: Any) -> Any | None:
    """Turn a reduction over height and width."""
    image, attributes = turner.known(call.args[0]), call.attrs
    if image is None or attributes.axis is None or sorted(int(axis) % IMAGE for axis in attributes.axis) != [2, 3]:
        return None
    make = getattr(relax.op, call.op.name.removeprefix("relax."))
    made = make(image, axis=[1, 2], keepdims=bool(attributes.keepdims))
    return turner.first(made) if attributes.keepdims else made


def _concatenated(turner: _Turner, call: Any) -> Any | None:
    """Turn a concatenation of channels."""
    parts = list(call.args[0].fields) if isinstance(call.args[0], relax.Tuple) else []
    if not parts or call.attrs.axis is None or int(call.attrs.axis) % IMAGE != 1:
        return None
    if any(turner.known(part) is None for part in parts):
        return None
    return turner.first(relax.op.concat([turner.last(part) for part in parts], axis=3))


def _quantizing(turner: _Turner, call: Any) -> Any | None:
    """Turn a quantization, or its reverse, with one scale."""
    return _elementwise(turner, call) if all(shape_of(part) == () for part in call.args[1:]) else None


_TABLE: dict[str, Callable[[_Turner, Any], Any | None]] = {
    "relax.quantize": _quantizing,
    "relax.dequantize": _quantizing,
    "relax.nn.conv1d": _line_convolution,
    "relax.nn.conv2d": _convolution,
    "relax.nn.max_pool2d": _pooling(relax.op.nn.max_pool2d),
    "relax.nn.avg_pool2d": _pooling(relax.op.nn.avg_pool2d),
    "relax.concat": _concatenated,
}
