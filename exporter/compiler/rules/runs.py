"""Where the numbers that one run of a result reads lie: found once at the run's start, then by constant strides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tvm_ffi
from tvm import ir, sym, tirx

from hwloop.exporter.compiler.rules.stages import flat, loads_of, rewrite, simplified

IF_THEN_ELSE = ir.Op.get("prim.if_then_else")


@dataclass(frozen=True)
class Spot:
    """A load, or the store of a result, whose place moves by `stride` numbers with each step of the run."""

    access: Any
    buffer: Any
    place: Any
    stride: int


def spot_of(access: Any, buffer: Any, indices: Sequence[Any], at: Any, bounds: Mapping[Any, int]) -> Spot | None:
    """Return the spot of an access to a buffer at indices as a run goes `at`; None where it moves unsteadily.

    `bounds` has the extents of the variables in the indices, `at` among them.
    """
    if not indices:
        return None
    place = simplified(flat(indices, [int(size) for size in buffer.shape]), list(bounds), list(bounds.values()))
    place = tirx.const(place, "int64") if isinstance(place, int) else place
    step = sym.Analyzer().canonical_simplify(rewrite(place, {at: at + 1}) - place)
    return Spot(access, buffer, place, int(step)) if isinstance(step, tirx.IntImm) else None


class Run:
    """A stretch of the result: `starts` are the statements before it, `load` and `place` what lies where in it."""

    def __init__(self, found: Sequence[Spot], variables: Mapping[Any, Any]) -> None:
        self.starts: list[Any] = []
        self._found: list[tuple[Spot, Any]] = []
        for spot in found:
            start = tirx.Var("place", "int64")
            self.starts.append(tirx.Bind(start, rewrite(spot.place, variables)))
            self._found.append((spot, start))

    def indices(self, access: Any, offset: Any) -> list[Any] | None:
        """Return the indices of an access at the `offset`-th number of the run; None if its place is unsteady.

        All but the last are 0: the last is the place in memory.
        """
        for spot, start in self._found:
            if spot.access.same_as(access):
                zeros = [tirx.const(0, "int64")] * (len(spot.buffer.shape) - 1)
                return [*zeros, start + offset * spot.stride if spot.stride else start]
        return None

    def value(self, value: Any, axes: Mapping[Any, Any], offset: Any, kept: Mapping[Any, Any]) -> Any:
        """Return an expression at the `offset`-th number; `kept` has those of tensors that are not in memory."""

        def load(found: Any, mutator: Any) -> Any:
            if found.source in kept:
                return kept[found.source]
            indices = self.indices(found, offset)
            return tirx.BufferLoad(found.source, indices) if indices else mutator.default_mutate(found)

        def variable(found: Any, _mutator: Any) -> Any:
            return axes.get(found, found)

        return tvm_ffi.structural_mutate(value, [(ir.TensorLoad, load), (ir.Var, variable)])


def chooses(value: Any) -> bool:
    """Return whether an expression reads some places only under a condition."""
    found: list[Any] = []
    tvm_ffi.structural_walk(value, (ir.Call, found.append))
    return any(call.op.same_as(IF_THEN_ELSE) for call in found)


def reads_in(indices: Sequence[Any]) -> bool:
    """Return whether a place depends on what is read."""
    return any(loads_of(index) for index in indices)
