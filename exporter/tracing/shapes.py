"""The shapes of what torch's slow functions return.

Torch's own arithmetic on its `meta` device serves every function, but takes milliseconds for some that networks are
made of; what stands here takes microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def _shaped(shape: Any, dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _same(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return _shaped(x.shape, x.dtype)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if x.shape[-1] != weight.shape[1]:
        raise RuntimeError(f"a linear layer of {weight.shape[1]} inputs is given {x.shape[-1]}")
    return _shaped((*x.shape[:-1], weight.shape[0]), x.dtype)


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    if isinstance(padding, str) or x.dim() != 4:
        return F.conv2d(x.to("meta"), weight.to("meta"), None, stride, padding, dilation, groups)
    if x.shape[1] != weight.shape[1] * groups:
        raise RuntimeError(f"a convolution of {weight.shape[1] * groups} channels is given {x.shape[1]}")
    sides = zip(x.shape[2:], weight.shape[2:], _pair(stride), _pair(padding), _pair(dilation), strict=True)
    spatial = [(side + 2 * pad - spread * (kernel - 1) - 1) // step + 1 for side, kernel, step, pad, spread in sides]
    return _shaped((x.shape[0], weight.shape[0], *spatial), x.dtype)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _attention(q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any) -> Tensor:
    return _shaped((*q.shape[:-1], v.shape[-1]), q.dtype)


def _elementwise(one: Any, other: Any) -> Tensor:
    return _shaped(_broadcast(_shape(one), _shape(other)), torch.result_type(one, other))


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def _broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    sizes = [*zip_longest(reversed(one), reversed(other), fillvalue=1)]
    if any(first != second and 1 not in (first, second) for first, second in sizes):
        raise RuntimeError(f"shapes {one} and {other} do not fit together")
    return tuple(second if first == 1 else first for first, second in reversed(sizes))


SHAPES: dict[Any, Callable[..., Tensor]] = {
    F.linear: _linear,
    F.conv2d: _conv2d,
    F.scaled_dot_product_attention: _attention,
    **dict.fromkeys([F.layer_norm, F.gelu, F.silu, F.relu, F.hardswish, F.hardsigmoid, F.relu6, F.batch_norm], _same),
    **dict.fromkeys([torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__], _elementwise),
    **dict.fromkeys([torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__], _elementwise),
}
