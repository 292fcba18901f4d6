"""Functions of each number alone, and softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hwloop.exporter.tracing.operators.call import Call, Emit, dtype_of


def _unary(operator: str) -> Emit:
    return lambda call, x, *_, **__: call.op(operator, x)


def _binary(operator: str, swapped: bool = False) -> Emit:
    def emit(call: Call, one: Any, other: Any, **_: Any) -> str:
        sides = (other, one) if swapped else (one, other)
        return call.op(operator, *map(call.like, sides))

    return emit


def _compare(operator: str) -> Emit:
    def emit(call: Call, one: Tensor, other: Any) -> str:
        number = isinstance(other, bool | int | float)
        return call.op(operator, one, call.constant(other, dtype_of(one)) if number else other)

    return emit


def _gelu(call: Call, x: Tensor, approximate: str = "none") -> str:
    if approximate == "tanh":
        cube = call.op("Mul", call.op("Mul", call.op("Mul", x, x), x), call.like(0.044715))
        inner = call.op("Mul", call.op("Add", x, cube), call.like(math.sqrt(2 / math.pi)))
        gate = call.op("Tanh", inner)
    else:
        gate = call.op("Erf", call.op("Div", x, call.like(math.sqrt(2))))
    return call.op("Mul", call.op("Mul", x, call.op("Add", gate, call.like(1.0))), call.like(0.5))


def _silu(call: Call, x: Tensor, inplace: bool = False) -> str:
    return call.op("Mul", x, call.op("Sigmoid", x))


def _clip(call: Call, x: Tensor, *bounds: float | None, **named: float | None) -> str:
    low, high = (*bounds, None, None)[:2]
    limits = (named.get("min", low), named.get("max", high))
    return call.op("Clip", x, *("" if limit is None else call.constant(limit, dtype_of(x)) for limit in limits))


def _relu6(call: Call, x: Tensor, inplace: bool = False) -> str:
    return _clip(call, x, 0.0, 6.0)


def _hardtanh(call: Call, x: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> str:
    return _clip(call, x, min_val, max_val)


def _hardsigmoid(call: Call, x: Tensor, inplace: bool = False) -> str:
    return call.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)


def _elu(call: Call, x: Tensor, alpha: float = 1.0, inplace: bool = False) -> str:
    return call.op("Elu", x, alpha=alpha)


def _softmax(call: Call, x: Tensor, dim: int = -1, *_: Any, **__: Any) -> str:
    return call.op("Softmax", x, axis=dim)


def _square(call: Call, x: Tensor) -> str:
    return call.op("Mul", x, x)


def _rsqrt(call: Call, x: Tensor) -> str:
    return call.op("Reciprocal", call.op("Sqrt", x))


def _where(call: Call, condition: Tensor, one: Any, other: Any) -> str:
    return call.op("Where", condition, call.like(one), call.like(other))


def _masked_fill(call: Call, x: Tensor, mask: Tensor, value: Any) -> str:
    return call.op("Where", mask, call.like(value), x)


def _cast(call: Call, x: Tensor, *_: Any, **__: Any) -> str:
    if x.dtype == call.result.dtype:
        return call.name(x)
    from onnx import helper

    return call.op("Cast", x, to=helper.np_dtype_to_tensor_dtype(dtype_of(call.result)))


def _filled(value: int) -> Emit:
    return lambda call, *_, **__: call.constant(np.full(call.result.shape, value), dtype_of(call.result))


def _same(call: Call, x: Tensor, *_: Any, **__: Any) -> str:
    return call.name(x)


ELEMENTWISE: dict[Any, Emit] = {
    **dict.fromkeys([torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm], _binary("MatMul")),
    **dict.fromkeys([torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__], _binary("Add")),
    **dict.fromkeys([torch.sub, Tensor.sub, Tensor.__sub__], _binary("Sub")),
    **dict.fromkeys([torch.rsub, Tensor.__rsub__], _binary("Sub", swapped=True)),
    **dict.fromkeys([torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__], _binary("Mul")),
    **dict.fromkeys([torch.div, torch.true_divide, Tensor.div, Tensor.__truediv__], _binary("Div")),
    Tensor.__rtruediv__: _binary("Div", swapped=True),
    Tensor.__rdiv__: _binary("Div", swapped=True),
    **dict.fromkeys([torch.pow, Tensor.pow, Tensor.__pow__], _binary("Pow")),
    **dict.fromkeys([torch.eq, Tensor.eq, Tensor.__eq__], _compare("Equal")),
    **dict.fromkeys([torch.lt, Tensor.lt, Tensor.__lt__], _compare("Less")),
    **dict.fromkeys([torch.gt, Tensor.gt, Tensor.__gt__], _compare("Greater")),
    **dict.fromkeys([torch.le, Tensor.le, Tensor.__le__], _compare("LessOrEqual")),
    **dict.fromkeys([torch.ge, Tensor.ge, Tensor.__ge__], _compare("GreaterOrEqual")),
    **dict.fromkeys([F.relu, torch.relu, Tensor.relu], _unary("Relu")),
    **dict.fromkeys([F.sigmoid, torch.sigmoid, Tensor.sigmoid], _unary("Sigmoid")),
    **dict.fromkeys([torch.tanh, Tensor.tanh], _unary("Tanh")),
    **dict.fromkeys([torch.exp, Tensor.exp], _unary("Exp")),
    **dict.fromkeys([torch.log, Tensor.log], _unary("Log")),
    **dict.fromkeys([torch.erf, Tensor.erf], _unary("Erf")),
    **dict.fromkeys([torch.sqrt, Tensor.sqrt], _unary("Sqrt")),
    **dict.fromkeys([torch.rsqrt, Tensor.rsqrt], _rsqrt),
    **dict.fromkeys([torch.abs, Tensor.abs], _unary("Abs")),
    **dict.fromkeys([torch.neg, Tensor.neg, Tensor.__neg__], _unary("Neg")),
    **dict.fromkeys([torch.reciprocal, Tensor.reciprocal], _unary("Reciprocal")),
    **dict.fromkeys([torch.square, Tensor.square], _square),
    **dict.fromkeys([torch.logical_and, Tensor.logical_and, Tensor.__and__], _binary("And")),
    **dict.fromkeys([torch.logical_or, Tensor.logical_or, Tensor.__or__], _binary("Or")),
    **dict.fromkeys([Tensor.new_ones, torch.ones_like], _filled(1)),
    **dict.fromkeys([Tensor.new_zeros, torch.zeros_like], _filled(0)),
    **dict.fromkeys([torch.logical_not, Tensor.logical_not, Tensor.__invert__], _unary("Not")),
    F.hardswish: _unary("HardSwish"),
    F.hardsigmoid: _hardsigmoid,
    F.relu6: _relu6,
    F.hardtanh: _hardtanh,
    F.gelu: _gelu,
    F.silu: _silu,
    F.elu: _elu,
    **dict.fromkeys([torch.clamp, torch.clip, Tensor.clamp, Tensor.clip], _clip),
    **dict.fromkeys([F.softmax, torch.softmax, Tensor.softmax], _softmax),
    **dict.fromkeys([torch.where, Tensor.where], _where),
    **dict.fromkeys([torch.masked_fill, Tensor.masked_fill], _masked_fill),
    **dict.fromkeys([Tensor.to, Tensor.float, Tensor.long, Tensor.int, Tensor.bool, Tensor.type_as], _cast),
    **dict.fromkeys([Tensor.contiguous, Tensor.clone, Tensor.detach, F.dropout, torch.clone], _same),
}
