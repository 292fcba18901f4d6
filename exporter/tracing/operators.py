"""The ONNX form of torch's functions. To add one: write a function of a `Call` and of torch's own arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hwloop.errors import ModelError
from hwloop.exporter.tracing.graph import Graph

Emit = Callable[..., str | list[str]]


@dataclass(frozen=True)
class Call:
    """One call that is being written: where, and what it returned (without data)."""

    graph: Graph
    scope: str
    name: Callable[..., str]
    result: Any

    def op(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Write a node; inputs are values of torch, names of values already written, or numbers."""
        return self.graph.node(operator, [self._input(value) for value in inputs], self.scope, **attributes)

    def layer(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Write a node that has the name of the module around it."""
        names = [self._input(value) for value in inputs]
        return self.graph.node(operator, names, self.scope, name=self.scope, **attributes)

    def constant(self, value: Any, dtype: Any, label: str = "constant") -> str:
        """Return the name of a constant."""
        return self.name(np.asarray(value, dtype), label)

    def ints(self, *values: int) -> str:
        """Return the name of a constant vector of whole numbers: a shape, axes."""
        return self.constant(values, np.int64, "shape")

    def like(self, value: Any) -> Any:
        """Return a Python number as a constant of the result's type; anything else as it is."""
        if isinstance(value, bool | int | float):
            return self.constant(value, _dtype(self.result))
        return value

    def _input(self, value: Any) -> str:
        return value if isinstance(value, str) else self.name(value)


def _dtype(value: Tensor) -> Any:
    return torch.empty(0, dtype=value.dtype).numpy().dtype


# ── layers ──


def _linear(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> str:
    product = call.layer("MatMul", x, call.name(weight.t(), "weight"))
    if bias is None:
        return product
    named = call.name(bias, "bias")
    return call.graph.node("Add", [product, named], call.scope, name=f"{call.scope}/bias")


def _conv2d(
    call: Call,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> str:
    if isinstance(padding, str):
        raise ModelError(f"{call.scope}: padding {padding!r} has no ONNX form here", remedy="Give it in numbers.")
    inputs = [x, call.name(weight, "weight"), *([] if bias is None else [call.name(bias, "bias")])]
    down, across = _pair(padding)
    return call.layer(
        "Conv",
        *inputs,
        kernel_shape=list(weight.shape[2:]),
        strides=_pair(stride),
        pads=[down, across, down, across],
        dilations=_pair(dilation),
        group=groups,
    )


def _layer_norm(
    call: Call,
    x: Tensor,
    shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> str:
    ones = torch.ones(tuple(shape)) if weight is None else weight
    inputs = [x, call.name(ones, "weight"), *([] if bias is None else [call.name(bias, "bias")])]
    return call.op("LayerNormalization", *inputs, axis=-len(shape), epsilon=eps)


def _batch_norm(
    call: Call,
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> str:
    if training:
        raise ModelError(f"{call.scope}: a batch norm in training has no ONNX form", remedy="Call eval() first.")
    labels = ((weight, "weight"), (bias, "bias"), (mean, "mean"), (variance, "variance"))
    return call.op("BatchNormalization", x, *(call.name(value, label) for value, label in labels), epsilon=eps)


def _embedding(call: Call, indices: Tensor, weight: Tensor, *_: Any, **__: Any) -> str:
    return call.op("Gather", call.name(weight, "weight"), indices, axis=0)


def _attention(
    call: Call,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> str:
    if is_causal:
        raise ModelError(f"{call.scope}: is_causal has no ONNX form here", remedy="Give the mask as attn_mask.")
    axes = [*range(k.dim() - 2), k.dim() - 1, k.dim() - 2]
    scores = call.op("MatMul", q, call.op("Transpose", k, perm=axes))
    scores = call.op("Mul", scores, call.like(scale or 1 / math.sqrt(q.shape[-1])))
    if attn_mask is not None:
        scores = call.op("Add", scores, attn_mask)
    return call.op("MatMul", call.op("Softmax", scores, axis=-1), v)


# ── elementwise ──


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
        return call.op(operator, one, call.constant(other, _dtype(one)) if number else other)

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
    return call.op("Clip", x, *("" if limit is None else call.constant(limit, _dtype(x)) for limit in limits))


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

    return call.op("Cast", x, to=helper.np_dtype_to_tensor_dtype(_dtype(call.result)))


def _filled(value: int) -> Emit:
    return lambda call, *_, **__: call.constant(np.full(call.result.shape, value), _dtype(call.result))


def _same(call: Call, x: Tensor, *_: Any, **__: Any) -> str:
    return call.name(x)


# ── shapes ──


def _reshape(call: Call, x: Tensor, *_: Any, **__: Any) -> str:
    return call.op("Reshape", x, call.ints(*call.result.shape))


def _permute(call: Call, x: Tensor, *dims: Any, **__: Any) -> str:
    order = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
    return call.op("Transpose", x, perm=[dim % x.dim() for dim in order])


def _transpose(call: Call, x: Tensor, one: int, other: int) -> str:
    order = list(range(x.dim()))
    order[one], order[other] = order[other], order[one]
    return call.op("Transpose", x, perm=order)


def _turned(call: Call, x: Tensor) -> str:
    return _transpose(call, x, -1, -2)


def _expand(call: Call, x: Tensor, *_: Any) -> str:
    return call.op("Expand", x, call.ints(*call.result.shape))


def _cat(call: Call, tensors: Sequence[Tensor], dim: int = 0) -> str:
    return call.op("Concat", *tensors, axis=dim)


def _stack(call: Call, tensors: Sequence[Tensor], dim: int = 0) -> str:
    at = dim % call.result.dim()
    return call.op("Concat", *(call.op("Unsqueeze", value, call.ints(at)) for value in tensors), axis=at)


def _split(call: Call, x: Tensor, *_: Any, dim: int | None = None, **__: Any) -> list[str]:
    axis = next(axis for axis in range(x.dim()) if x.shape[axis] != call.result[0].shape[axis]) if dim is None else dim
    sizes = [part.shape[axis] for part in call.result]
    return call.graph.node_with("Split", [call.name(x), call.ints(*sizes)], len(sizes), call.scope, axis=axis % x.dim())


def _unbind(call: Call, x: Tensor, dim: int = 0) -> list[str]:
    return [call.op("Gather", x, call.constant(number, np.int64), axis=dim) for number in range(x.shape[dim])]


def _select(call: Call, x: Tensor, index: Any) -> str:
    """Write `x[index]` for whole numbers, slices, `...` and None."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if not all(part is None or part is Ellipsis or isinstance(part, int | slice) for part in parts):
        raise ModelError(f"{call.scope}: indexing by a tensor has no ONNX form here", remedy="Use an embedding.")
    given = sum(part is not None and part is not Ellipsis for part in parts)
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    at = parts.index(Ellipsis)
    parts[at : at + 1] = [slice(None)] * (x.dim() - given)
    axes = [axis for axis, part in enumerate(part for part in parts if part is not None) if part != slice(None)]
    bounds = [
        _bounds(part, x.shape[axis]) for axis, part in enumerate(p for p in parts if p is not None) if axis in axes
    ]
    value = call.name(x)
    if axes:
        starts, ends, steps = zip(*bounds, strict=True)
        value = call.op("Slice", value, call.ints(*starts), call.ints(*ends), call.ints(*axes), call.ints(*steps))
    if any(part is None or isinstance(part, int) for part in parts):
        value = call.op("Reshape", value, call.ints(*call.result.shape))
    return value


def _bounds(part: int | slice, size: int) -> tuple[int, int, int]:
    if isinstance(part, int):
        return part % size, part % size + 1, 1
    return part.indices(size)


# ── sums and pools ──


def _reduce(operator: str) -> Emit:
    def emit(call: Call, x: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> str:
        axes = range(x.dim()) if dim is None else [dim] if isinstance(dim, int) else dim
        return call.op(operator, x, call.ints(*axes), keepdims=int(keepdim))

    return emit


def _global_pool(call: Call, x: Tensor, size: Any) -> str:
    if tuple(_pair(size)) != (1, 1):
        raise ModelError(f"{call.scope}: adaptive pooling to {size} has no ONNX form here", remedy="Pool to 1.")
    return call.op("GlobalAveragePool", x)


def _pool(operator: str, **more: int) -> Emit:
    def emit(call: Call, x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, **_: Any) -> str:
        down, across = _pair(padding)
        return call.op(
            operator,
            x,
            kernel_shape=_pair(kernel_size),
            strides=_pair(stride or kernel_size),
            pads=[down, across, down, across],
            **more,
        )

    return emit


def _average_pool(
    call: Call,
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> str:
    return str(_pool("AveragePool", count_include_pad=int(count_include_pad))(call, x, kernel_size, stride, padding))


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else [int(one) for one in value]


def _pad(call: Call, x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> str:
    if mode != "constant":
        raise ModelError(f"{call.scope}: padding by {mode} has no ONNX form here", remedy="Pad with a constant.")
    before, after = [0] * x.dim(), [0] * x.dim()
    for number in range(len(pad) // 2):
        before[-1 - number], after[-1 - number] = pad[2 * number], pad[2 * number + 1]
    return call.op("Pad", x, call.ints(*before, *after), call.constant(value or 0.0, _dtype(x)))


OPERATORS: dict[Any, Emit] = {
    **dict.fromkeys([F.linear], _linear),
    F.conv2d: _conv2d,
    F.layer_norm: _layer_norm,
    F.batch_norm: _batch_norm,
    F.embedding: _embedding,
    F.scaled_dot_product_attention: _attention,
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
    **dict.fromkeys([torch.reshape, Tensor.reshape, Tensor.view, torch.flatten, Tensor.flatten], _reshape),
    **dict.fromkeys([torch.unsqueeze, Tensor.unsqueeze, torch.squeeze, Tensor.squeeze], _reshape),
    **dict.fromkeys([Tensor.unflatten, torch.unflatten], _reshape),
    **dict.fromkeys([torch.permute, Tensor.permute], _permute),
    **dict.fromkeys([torch.transpose, Tensor.transpose, torch.swapaxes], _transpose),
    **dict.fromkeys([Tensor.t, torch.t, Tensor.T.__get__, Tensor.mT.__get__], _turned),  # type: ignore[attr-defined]
    **dict.fromkeys([Tensor.expand, Tensor.expand_as, torch.broadcast_to], _expand),
    **dict.fromkeys([torch.cat, torch.concat], _cat),
    torch.stack: _stack,
    **dict.fromkeys([torch.split, Tensor.split, torch.chunk, Tensor.chunk], _split),
    **dict.fromkeys([torch.unbind, Tensor.unbind], _unbind),
    Tensor.__getitem__: _select,
    **dict.fromkeys([torch.mean, Tensor.mean], _reduce("ReduceMean")),
    **dict.fromkeys([torch.sum, Tensor.sum], _reduce("ReduceSum")),
    **dict.fromkeys([torch.amax, Tensor.amax], _reduce("ReduceMax")),
    F.adaptive_avg_pool2d: _global_pool,
    F.avg_pool2d: _average_pool,
    F.max_pool2d: _pool("MaxPool"),
    F.pad: _pad,
}
