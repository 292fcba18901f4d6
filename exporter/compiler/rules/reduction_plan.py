"""What a kernel with reductions computes, as sweeps over the numbers that are reduced together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import tvm_ffi
from tvm import ir, tirx

from hwloop.exporter.compiler.rules.epilogue import Unmatched
from hwloop.exporter.compiler.rules.inlining import Inliner
from hwloop.exporter.compiler.rules.stages import Stage, always_equal, flat, loads_of, simplified, stride, unflatten

COSTLY_LOADS = 3
COMBINED_BY: dict[Any, tuple[Callable[[str], Any], Callable[[Any, Any], Any]]] = {
    tirx.Add: (lambda dtype: tirx.const(0, dtype), lambda a, b: a + b),
    tirx.Mul: (lambda dtype: tirx.const(1, dtype), lambda a, b: a * b),
    tirx.Max: (lambda dtype: _extreme(dtype, tirx.min_value), tirx.max),
    tirx.Min: (lambda dtype: _extreme(dtype, tirx.max_value), tirx.min),
}


@dataclass(frozen=True)
class Made:
    """A tensor that a sweep makes; `value` is its number (or what it takes in) in terms of the plan's axes."""

    buffer: Any
    value: Any
    combined: Callable[[Any, Any], Any] = lambda total, value: value
    identity: Any = None


@dataclass
class Sweep:
    """One walk over the reduced numbers: what is computed of each, what is summed, and what follows from the sums."""

    numbers: list[Made] = field(default_factory=list)
    sums: list[Made] = field(default_factory=list)
    scalars: list[Made] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """Tensors of `outer` x `reduced` x `inner` numbers, swept over `reduced`; numbers along `inner` lie side by side.

    Each of the three is one axis or several; `axes` has a variable for each, in this order.
    """

    outer: tuple[int, ...]
    reduced: tuple[int, ...]
    inner: tuple[int, ...]
    axes: tuple[Any, ...]
    sweeps: tuple[Sweep, ...]
    outputs: frozenset[Any]

    @property
    def rows(self) -> int:
        """Return how many separate sweeps there are, each over all of `inner`."""
        return prod(self.outer)

    def point(self, row: Any, step: Any, inner: Any) -> dict[Any, Any]:
        """Return the axes' values, for each of the three groups counted through as one."""
        values = (*unflatten(row, self.outer), *unflatten(step, self.reduced), *unflatten(inner, self.inner))
        return dict(zip(self.axes, values, strict=True))

    def place(self, buffer: Any, row: Any, step: Any, inner: Any) -> list[Any]:
        """Return where in a result the number of a point is; a result of sums has no place for `step`."""
        values = list(self.point(row, step, inner).values())
        shape = [int(size) for size in buffer.shape]
        if _wide(shape) != (*self.outer, *self.reduced, *self.inner):
            past = len(self.outer) + len(self.reduced)
            values = [*values[: len(self.outer)], *values[past:]]
        return _spread(shape, values)


def plan(stages: Sequence[Stage], parameters: Sequence[Any]) -> Plan:
    """Return the plan of a kernel.

    Raises:
        Unmatched: there is no reduction, or its reductions are over different numbers.
    """
    reductions = [stage for stage in stages if stage.reduced]
    if not reductions:
        raise Unmatched("no reduction")
    return _Planner(stages, reductions, parameters).plan()


def _extreme(dtype: str, most: Callable[[str], Any]) -> Any:
    """Return what maximum (or minimum) starts from; an infinity where the type has one."""
    if dtype.startswith("float"):
        return tirx.const(float("-inf") if most is tirx.min_value else float("inf"), dtype)
    return most(dtype)


def _wide(sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(size for size in sizes if size > 1)


class _Planner:
    def __init__(self, stages: Sequence[Stage], reductions: Sequence[Stage], parameters: Sequence[Any]) -> None:
        self._stages = stages
        self._reductions = {stage.buffer: stage for stage in reductions}
        self._outputs = frozenset(stage.buffer for stage in stages if stage.buffer in set(parameters))
        first = reductions[0]
        self._kept_sizes = _wide(first.extents)
        self._reduced = _wide(first.depths)
        if not self._reduced:
            raise Unmatched(first.buffer.name)
        before = self._axes_before(first)
        self._outer, self._inner = self._kept_sizes[:before], self._kept_sizes[before:]
        self._sizes = (*self._outer, *self._reduced, *self._inner)
        self._axes = tuple(tirx.Var(f"at{number}", "int64") for number in range(len(self._sizes)))
        past = before + len(self._reduced)
        self._kept_axes = (*self._axes[:before], *self._axes[past:])
        self._reduced_axes = self._axes[before:past]
        self._swept = self._swept_buffers()
        self._scalars = self._scalar_buffers()
        self._inliner = Inliner(stages, self._swept | self._scalars)
        self._after: dict[Any, int] = {}

    def _axes_before(self, reduction: Stage) -> int:
        """Return how many of the axes that are kept have longer strides in memory than those that are reduced."""
        place, steps = (list(axes) for axes in (reduction.axes, reduction.reduced))
        value = Inliner(self._stages, ()).value(reduction, place, steps)
        axes, extents = (*reduction.axes, *reduction.reduced), (*reduction.extents, *reduction.depths)
        kept = [axis for axis, size in zip(reduction.axes, reduction.extents, strict=True) if size > 1]
        last = [axis for axis, size in zip(reduction.reduced, reduction.depths, strict=True) if size > 1][-1]
        for load in loads_of(value):
            if load.source.same_as(reduction.buffer):
                continue
            where = simplified(flat(load.indices, [int(size) for size in load.source.shape]), axes, extents)
            if isinstance(where, int):
                continue
            step = stride(where, last)
            if step:
                strides = [stride(where, axis) for axis in kept]
                return sum(other is None or abs(other) > abs(step) or other == 0 for other in strides)
        return len(kept)

    def _scalar_buffers(self) -> set[Any]:
        """Return the tensors that have one number for each sweep and follow from sums, or are results."""
        following = set(self._reductions)
        found = set()
        for stage in self._stages:
            if stage.reduced:
                continue
            if any(load.source in following for load in loads_of(stage.value)):
                following.add(stage.buffer)
            if _wide(stage.extents) == self._kept_sizes and stage.buffer in following | self._outputs:
                found.add(stage.buffer)
        return found

    def _swept_buffers(self) -> set[Any]:
        """Return the tensors of all numbers that are kept: the results, and what is costly and read twice."""
        whole = Inliner(self._stages, self._reductions)
        found = set()
        for stage in self._stages:
            if stage.reduced or _wide(stage.extents) != self._sizes:
                continue
            readers = sum(_reads(other, stage) for other in self._stages)
            if stage.buffer in self._outputs or (readers > 1 and _costly(whole.value(stage, stage.axes))):
                found.add(stage.buffer)
        return found

    def plan(self) -> Plan:
        sweeps: list[Sweep] = []

        def sweep(number: int) -> Sweep:
            while len(sweeps) <= number:
                sweeps.append(Sweep())
            return sweeps[number]

        for stage in self._stages:
            if stage.reduced:
                made = self._reduction(stage)
                after = self._number_of(made.value)
                sweep(after).sums.append(made)
                self._after[stage.buffer] = after + 1
            elif stage.buffer in self._swept or stage.buffer in self._scalars:
                made = self._plain(stage)
                after = self._number_of(made.value)
                self._after[stage.buffer] = after
                if stage.buffer in self._swept:
                    sweep(after).numbers.append(made)
                else:
                    sweep(max(after - 1, 0)).scalars.append(made)
            elif stage.buffer in self._outputs:
                raise Unmatched(stage.buffer.name)
        return Plan(self._outer, self._reduced, self._inner, self._axes, tuple(sweeps), self._outputs)

    def _number_of(self, value: Any) -> int:
        return max((self._after.get(load.source, 0) for load in loads_of(value)), default=0)

    def _reduction(self, stage: Stage) -> Made:
        combined = COMBINED_BY.get(type(stage.value))
        own = getattr(stage.value, "a", None)
        if combined is None or not isinstance(own, ir.TensorLoad) or not own.source.same_as(stage.buffer):
            raise Unmatched(stage.buffer.name)
        if _wide(stage.extents) != self._kept_sizes or _wide(stage.depths) != self._reduced:
            raise Unmatched(stage.buffer.name)
        place, steps = _spread(stage.extents, self._kept_axes), _spread(stage.depths, self._reduced_axes)
        value = self._checked(self._inliner.value(stage, place, steps).b)
        identity, combine = combined
        return Made(stage.buffer, value, combine, identity(str(stage.buffer.dtype)))

    def _plain(self, stage: Stage) -> Made:
        axes = self._axes if stage.buffer in self._swept else self._kept_axes
        return Made(stage.buffer, self._checked(self._inliner.value(stage, _spread(stage.extents, axes))))

    def _checked(self, value: Any) -> Any:
        """Return an expression, having seen that it reads what the kernel makes at the very place it is for."""
        for load in loads_of(value):
            if load.source in self._reductions or load.source in self._scalars:
                here = flat(self._kept_axes, self._kept_sizes)
            elif load.source in self._swept:
                here = flat(self._axes, self._sizes)
            else:
                continue
            read = flat(load.indices, [int(size) for size in load.source.shape])
            if not always_equal(read, here, self._axes, self._sizes):
                raise Unmatched(load.source.name)
        return value


def _spread(extents: Sequence[int], axes: Sequence[Any]) -> list[Any]:
    """Return a place for each extent: the axes in order for what is wider than one, 0 for the rest."""
    remaining = iter(axes)
    return [next(remaining) if size > 1 else tirx.const(0, "int64") for size in extents]


def _reads(reader: Stage, made: Stage) -> bool:
    return any(load.source.same_as(made.buffer) for load in loads_of(reader.value))


def _costly(value: Any) -> bool:
    calls: list[Any] = []
    tvm_ffi.structural_walk(value, (ir.Call, calls.append))
    return bool(calls) or len(loads_of(value)) > COSTLY_LOADS
