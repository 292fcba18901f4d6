"""Sizes for the symbolic dimensions of a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.errors import ModelError

if TYPE_CHECKING:
    import onnx


@dataclass
class Binding:
    """Sizes of axes by (input, axis) and of dimensions by name, and the keys of `--shape` that gave them."""

    axes: dict[tuple[str, int], int] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)


def bind(path: Path, inputs: Sequence[onnx.ValueInfoProto], shapes: Mapping[str, int]) -> Binding:
    """Give every axis of every input its size.

    `shapes` maps a dimension's name, or `INPUT:AXIS`, to a size. A size given by place holds for all dimensions of
    that name.

    Raises:
        ModelError: a dimension is open, or has two sizes.
    """
    bound = Binding()
    open_axes: list[tuple[str, int, str]] = []
    for value in inputs:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            place = f"{value.name}:{axis}"
            if dim.dim_value > 0:
                bound.axes[value.name, axis] = dim.dim_value
                continue
            open_axes.append((value.name, axis, dim.dim_param))
            given = [key for key in (place, dim.dim_param) if key and key in shapes]
            bound.used.update(given)
            for key in given:
                size = bound.dims.setdefault(dim.dim_param or place, shapes[key])
                if size != shapes[key]:
                    raise ModelError(
                        f"{path}: dimension {dim.dim_param!r} is given two sizes, {size} and {shapes[key]}",
                        remedy=f"Give it one: --shape {dim.dim_param}={size}",
                    )
    _require_closed(path, open_axes, bound)
    for name, axis, dimension in open_axes:
        bound.axes[name, axis] = bound.dims[dimension or f"{name}:{axis}"]
    bound.dims = {name: size for name, size in bound.dims.items() if any(name == one for *_, one in open_axes)}
    return bound


def _require_closed(path: Path, open_axes: Sequence[tuple[str, int, str]], bound: Binding) -> None:
    left: dict[str, str] = {}
    for name, axis, dimension in open_axes:
        key = dimension or f"{name}:{axis}"
        if key not in bound.dims:
            left.setdefault(key, f"{dimension!r} (input {name!r}, axis {axis})" if dimension else repr(key))
    if left:
        flags = " ".join(f"--shape {key}=8" for key in left)
        raise ModelError(
            f"{path}: sizes are open: {', '.join(left.values())}",
            remedy=f"Give each a size, for example: {flags}",
        )
