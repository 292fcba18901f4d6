"""Sums over axes, pools and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hwloop.errors import ModelError
from hwloop.exporter.tracing.operators.call import Call, Emit, dtype_of, pair


def _reduce(operator: str) -> Emit:
    def emit(call: Call, x: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> str:
        axes = range(x.dim()) if dim is None else [dim] if isinstance(dim, int) else dim
        return call.op(operator, x, call.ints(*axes), keepdims=int(keepdim))

    return emit


def _global_pool(call: Call, x: Tensor, size: Any) -> str:
    if tuple(pair(size)) != (1, 1):
        raise ModelError(f"{call.scope}: adaptive pooling to {size} has no ONNX form here", remedy="Pool to 1.")
    return call.op("GlobalAveragePool", x)


def _pool(operator: str, **more: int) -> Emit:
    def emit(call: Call, x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, **_: Any) -> str:
        down, across = pair(padding)
        return call.op(
            operator,
            x,
            kernel_shape=pair(kernel_size),
            strides=pair(stride or kernel_size),
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


def _pad(call: Call, x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> str:
    if mode != "constant":
        raise ModelError(f"{call.scope}: padding by {mode} has no ONNX form here", remedy="Pad with a constant.")
    before, after = [0] * x.dim(), [0] * x.dim()
    for number in range(len(pad) // 2):
        before[-1 - number], after[-1 - number] = pad[2 * number], pad[2 * number + 1]
    return call.op("Pad", x, call.ints(*before, *after), call.constant(value or 0.0, dtype_of(x)))


POOLS: dict[Any, Emit] = {
    **dict.fromkeys([torch.mean, Tensor.mean], _reduce("ReduceMean")),
    **dict.fromkeys([torch.sum, Tensor.sum], _reduce("ReduceSum")),
    **dict.fromkeys([torch.amax, Tensor.amax], _reduce("ReduceMax")),
    F.adaptive_avg_pool2d: _global_pool,
    F.avg_pool2d: _average_pool,
    F.max_pool2d: _pool("MaxPool"),
    F.pad: _pad,
}
