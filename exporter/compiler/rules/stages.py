"""Reading a fused kernel: its stages one after the other, and expressions of one stage at places of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tvm_ffi
from tvm import ir, sym, tirx

Inline = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True)
class Stage:
    """One tensor of a kernel and how its numbers are made: `buffer[indices] = value` over `axes` and `reduced`."""

    buffer: Any
    axes: tuple[Any, ...]
    extents: tuple[int, ...]
    reduced: tuple[Any, ...]
    depths: tuple[int, ...]
    value: Any
    annotations: Mapping[str, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the tensor's shape."""
        return tuple(int(size) for size in self.buffer.shape)


def read_stages(kernel: Any) -> list[Stage] | None:
    """Return a fused kernel's stages in their order; None if one is not a plain loop nest of known size.

    In a plain nest each block writes one number a turn, to the place that its spatial axes name in their order.
    """
    root = kernel.body.block if hasattr(kernel.body, "block") else None
    if root is None or root.iter_vars:
        return None
    nests = list(root.body.seq) if isinstance(root.body, tirx.SeqStmt) else [root.body]
    stages = [_stage(nest) for nest in nests]
    return None if None in stages else stages  # type: ignore[return-value]


def _stage(nest: Any) -> Stage | None:
    while isinstance(nest, tirx.For):
        nest = nest.body
    block = getattr(nest, "block", None)
    if block is None or not isinstance(block.body, tirx.BufferStore):
        return None
    store = block.body
    if not all(isinstance(axis.dom.extent, tirx.IntImm) for axis in block.iter_vars):
        return None
    kinds: dict[int, list[Any]] = {tirx.IterVar.DataPar: [], tirx.IterVar.CommReduce: []}
    for axis in block.iter_vars:
        if axis.iter_type not in kinds:
            return None
        kinds[axis.iter_type].append(axis)
    spatial, reduced = kinds.values()
    if not store.indices and all(int(axis.dom.extent) == 1 for axis in spatial):
        spatial = []  # TVM gives a block of a single number an axis that nothing reads
    if len(spatial) != len(store.indices) or any(
        not index.same_as(axis.var) for index, axis in zip(store.indices, spatial, strict=True)
    ):
        return None
    return Stage(
        store.buffer,
        tuple(axis.var for axis in spatial),
        tuple(int(axis.dom.extent) for axis in spatial),
        tuple(axis.var for axis in reduced),
        tuple(int(axis.dom.extent) for axis in reduced),
        store.value,
        dict(block.annotations),
    )


def rewrite(value: Any, variables: Mapping[Any, Any], loads: Mapping[Any, Inline] | None = None) -> Any:
    """Return an expression with variables replaced, and loads from some buffers by what `loads` makes of the place."""
    table = loads or {}
    known = {name: tirx.const(new, "int64") if isinstance(new, int) else new for name, new in variables.items()}

    def variable(found: Any, _mutator: Any) -> Any:
        return known.get(found, found)

    def load(found: Any, mutator: Any) -> Any:
        inline = table.get(found.source)
        if inline is None:
            return mutator.default_mutate(found)
        return inline([mutator.mutate(index) for index in found.indices])

    return tvm_ffi.structural_mutate(value, [(ir.TensorLoad, load), (ir.Var, variable)])


def loads_of(value: Any) -> list[Any]:
    """Return the loads in an expression, in the order of their occurrence."""
    found: list[Any] = []
    tvm_ffi.structural_walk(value, (ir.TensorLoad, found.append))
    return found


def flat(indices: Sequence[Any], shape: Sequence[int]) -> Any:
    """Return the place of an element in a dense tensor of `shape`; indices are expressions, integers or arrays."""
    place: Any = 0
    for index, size in zip(indices, shape, strict=True):
        place = place * size + index
    return place


def unflatten(place: Any, shape: Sequence[int]) -> list[Any]:
    """Return the indices of the element at a place of a dense tensor of `shape`."""
    indices: list[Any] = []
    wide = [number for number, size in enumerate(shape) if size > 1]
    for number in range(len(shape) - 1, -1, -1):
        if shape[number] == 1:
            indices.append(0)
        elif number == wide[0]:
            indices.append(place)
        else:
            indices.append(place % shape[number])
            place = place // shape[number]
    return indices[::-1]


def simplified(value: Any, axes: Sequence[Any], extents: Sequence[int]) -> Any:
    """Return an expression, made simpler by what the axes can be."""
    return value if isinstance(value, int) else _bound(axes, extents).simplify(value)


def _bound(axes: Sequence[Any], extents: Sequence[int]) -> Any:
    analyzer = sym.Analyzer()
    for axis, extent in zip(axes, extents, strict=True):
        analyzer.bind(axis, ir.Range(tirx.const(0, "int64"), tirx.const(extent, "int64")))
    return analyzer


def always_equal(left: Any, right: Any, axes: Sequence[Any], extents: Sequence[int]) -> bool:
    """Return whether two expressions are equal for every value of the axes."""
    return bool(_bound(axes, extents).can_prove_equal(tirx.const(0, "int64") + left, right))


def stride(place: Any, axis: Any) -> int | None:
    """Return by how much a place moves with each step of an axis; None where that is no constant."""
    moved = rewrite(place, {axis: axis + 1})
    step = sym.Analyzer().canonical_simplify(moved - place)
    return int(step) if isinstance(step, tirx.IntImm) else None
