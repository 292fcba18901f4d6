"""Reshapes, transposes, slices and what puts tensors together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hwloop.errors import ModelError
from hwloop.exporter.tracing.operators.call import Call, Emit


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


VIEWS: dict[Any, Emit] = {
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
}
