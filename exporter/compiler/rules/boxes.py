"""A tensor cut where the conditions in its expression change: the parts of a concatenation, the edges of a padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod
from typing import Any

import tvm_ffi
from tvm import ir, sym, tirx

MOST = 64
IF_THEN_ELSE = ir.Op.get("prim.if_then_else")
COMPARED = (tirx.LT, tirx.LE, tirx.GT, tirx.GE, tirx.EQ, tirx.NE)


@dataclass(frozen=True)
class Box:
    """A part of a tensor: from `first` on, `extents` wide in each axis."""

    first: tuple[int, ...]
    extents: tuple[int, ...]


def boxes(values: Sequence[Any], axes: Sequence[Any], extents: Sequence[int]) -> list[Box]:
    """Return the parts of a tensor in each of which the comparisons of an axis with a number come out alike.

    One box of everything comes back where there are no such comparisons, or too many.
    """
    cuts = [_cuts(values, axis, extent) for axis, extent in zip(axes, extents, strict=True)]
    if prod(len(places) - 1 for places in cuts) > MOST:
        return [Box((0,) * len(extents), tuple(extents))]
    parts = product(*(list(pairwise(places)) for places in cuts))
    return [Box(tuple(low for low, _ in spans), tuple(high - low for low, high in spans)) for spans in parts]


def _cuts(values: Sequence[Any], axis: Any, extent: int) -> list[int]:
    """Return the places of an axis where a comparison may change, with both ends."""
    places = {0, extent}

    def compared(found: Any) -> None:
        if not str(found.a.ty.dtype).startswith("int"):
            return
        for sign in (1, -1):
            rest = sym.Analyzer().canonical_simplify(found.a - found.b - sign * axis)
            if isinstance(rest, tirx.IntImm):
                crossing = -sign * int(rest)
                places.update(place for place in (crossing, crossing + 1) if 0 < place < extent)

    for value in values:
        for kind in COMPARED:
            tvm_ffi.structural_walk(value, (kind, compared))
    return sorted(places)


def within(value: Any, axes: Sequence[Any], box: Box) -> Any:
    """Return an expression without the choices that are certain in a box."""
    analyzer = sym.Analyzer()
    for axis, low, size in zip(axes, box.first, box.extents, strict=True):
        analyzer.bind(axis, ir.Range(tirx.const(low, "int64"), tirx.const(low + size, "int64")))

    def chosen(condition: Any) -> int | None:
        known = analyzer.simplify(condition)
        return int(known) if isinstance(known, tirx.IntImm) else None

    def call(found: Any, mutator: Any) -> Any:
        if found.op.same_as(IF_THEN_ELSE):
            holds = chosen(found.args[0])
            if holds is not None:
                return mutator.mutate(found.args[1 if holds else 2])
        return mutator.default_mutate(found)

    def select(found: Any, mutator: Any) -> Any:
        holds = chosen(found.condition)
        if holds is None:
            return mutator.default_mutate(found)
        return mutator.mutate(found.true_value if holds else found.false_value)

    return tvm_ffi.structural_mutate(value, [(ir.Call, call), (tirx.Select, select)])
