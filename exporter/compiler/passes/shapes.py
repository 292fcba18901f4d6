"""Shapes of Relax values."""

from __future__ import annotations

from typing import Any

from tvm import relax, tirx


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Return a tensor's shape; None if it is no tensor, or not of a known shape."""
    kind = value.ty
    if not isinstance(kind, relax.TensorType) or not isinstance(kind.shape, relax.ShapeExpr):
        return None
    sizes = list(kind.shape.values)
    return tuple(int(size) for size in sizes) if all(isinstance(size, tirx.IntImm) for size in sizes) else None
