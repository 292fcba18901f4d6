"""The two sides of an integer product: groups of small numbers, laid side by side for one instruction."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from tvm import tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import Segment
from hwloop.exporter.compiler.rules.factors import LeftRun, Panel
from hwloop.exporter.compiler.rules.integer_dot import IntegerDot
from hwloop.exporter.compiler.rules.microkernel import local_buffer, loop, loop_between, sequence, spread, vector_at
from hwloop.exporter.compiler.rules.product import Product
from hwloop.exporter.compiler.rules.stages import always_equal, flat

LONGEST_UNROLLED = 256  # steps of a left side that are copied with their places known at compile time


@dataclass(frozen=True)
class IntegerProduct:
    """A product of whole numbers; `left` and `right` are what is multiplied: a stored number, less a zero point."""

    shape: Product
    left: Any
    right: Any
    dot: IntegerDot

    def left_at(self, batch: Any, row: Any, step: Any) -> Any:
        """Return the left side's number; `step` counts single numbers."""
        return self.shape.at(self.left, batch, row, 0, step)

    def right_at(self, batch: Any, column: Any, step: Any) -> Any:
        """Return the right side's number; `step` counts single numbers."""
        return self.shape.at(self.right, batch, 0, column, step)

    def left_runs(self, lanes: int) -> bool:
        """Return whether the left side's numbers lie side by side within each whole vector of steps."""
        first, lane = tirx.Var("first", "int64"), tirx.Var("lane", "int64")
        shape = [int(size) for size in self.shape.left.source.shape]
        start, there = (
            flat(self.shape.left_indices(0, 0, first * lanes + more), shape) for more in (tirx.const(0, "int64"), lane)
        )
        return always_equal(there, start + lane, (first, lane), (max(self.shape.depth // lanes, 1), lanes))

    @property
    def steps(self) -> int:
        """Return how many groups the reduction has."""
        return -(-self.shape.depth // self.dot.group)

    @property
    def left_is_ready(self) -> bool:
        """Return whether the left side's groups lie in memory as the instruction takes them."""
        return (
            isinstance(self.left, tirx.Cast)
            and self.left.value.same_as(self.shape.left)
            and str(self.shape.left.ty.dtype) == self.dot.left
            and self.shape.left_in_rows
            and self.shape.depth % self.dot.group == 0
        )


class IntegerFactors:
    """Both sides for one kernel; a left side that is not ready is copied once, in whole groups."""

    dtype = "int32"

    def __init__(self, product: IntegerProduct, machine: Machine) -> None:
        self._product = product
        self._lanes = machine.float_lanes
        self._runs = machine.multiplies_by_lane
        self._rows = prod(product.shape.rows)
        self._ready = product.left_is_ready
        self._runs_along = product.left_runs(self._lanes)
        self._width = product.steps * product.dot.group
        self._copy = local_buffer((prod(product.shape.batch) * self._rows, self._width), "left", product.dot.left)
        self.steps = product.steps
        self.buffers = [] if self._ready else [self._copy]

    def before(self, first: Any, past: Any) -> list[Any]:
        """Return the statements that copy the left side's rows `first` .. `past - 1` of all batches."""
        return [] if self._ready else [loop_between(first, past, self._copied, "row")]

    def _copied(self, number: Any) -> Any:
        shape = self._product.shape
        batch, row = tirx.floordiv(number, self._rows), tirx.floormod(number, self._rows)
        by_vector = self._runs_along or shape.depth > LONGEST_UNROLLED
        whole = shape.depth // self._lanes * self._lanes if by_vector else 0

        def one(step: Any) -> Any:
            value = tirx.Cast(self._product.dot.left, self._product.left_at(batch, row, step))
            return tirx.BufferStore(self._copy, value, [number, step])

        def vector(first: Any) -> Any:
            return loop(self._lanes, lambda lane: one(first * self._lanes + lane), "lane", tirx.ForKind.VECTORIZED)

        zero = tirx.const(0, self._product.dot.left)
        pad = [tirx.BufferStore(self._copy, zero, [number, step]) for step in range(shape.depth, self._width)]
        statements = [loop(whole // self._lanes, vector, "step")] if whole else []
        if not by_vector:
            statements += [one(tirx.const(step, "int64")) for step in range(shape.depth)]
        elif shape.depth > whole:
            statements.append(loop_between(whole, shape.depth, one, "step"))
        return sequence([*statements, *pad])

    def left(self, batch: Any, row: Any, step: Any) -> Any:
        """Return a vector with the left side's group in every lane."""
        return spread(self._words(self._group(batch, row, step, 1)), self._lanes)

    def left_run(self, batch: Any, row: Any) -> LeftRun | None:
        """Return what gives the left side's groups at consecutive steps."""
        if not self._runs:
            return None
        return lambda below, step: self._words(self._group(batch, row + below, step, self._lanes))

    def _group(self, batch: Any, row: Any, step: Any, count: int) -> Any:
        group = self._product.dot.group
        if not self._ready:
            return vector_at(self._copy, [batch * self._rows + row, step * group], count * group)
        shape = self._product.shape
        return vector_at(shape.left.source, shape.left_indices(batch, row, step * group), count * group)

    def _words(self, numbers: Any) -> Any:
        group = self._product.dot.group
        count = int(numbers.ty.dtype.lanes) // group
        kind = f"int32x{count}" if count > 1 else "int32"
        return tirx.Cast(kind, numbers) if group == 1 else tirx.reinterpret(kind, numbers)

    def panels(self, segment: Segment) -> Panel:
        """Return panels that lie ready, or are copied."""
        return (_PackedPanels if self._product.shape.panel else _CopiedPanels)(self._product, segment, self._lanes)

    def combine(self, total: Any, left: Any, right: Any) -> Any:
        """Return the sums after a step."""
        return self._product.dot.combine(total, left, right)


class _PackedPanels:
    """Panels that lie ready in a constant, `[columns / width][steps][width][group]`."""

    def __init__(self, product: IntegerProduct, segment: Segment, lanes: int) -> None:
        self._product = product
        self._segment = segment
        self._lanes = lanes
        self.buffers: list[Any] = []

    def prepare(self, batch: Any, column: Any) -> list[Any]:
        """Return no statements."""
        del batch, column
        return []

    def vector(self, batch: Any, panel: Any, number: int, step: Any) -> Any:
        """Return a vector of a panel's row."""
        shape, group, width = self._product.shape, self._product.dot.group, self._segment.width
        start = self._segment.offset + panel * (width * self._product.steps)
        place = (start + step * width + number * self._lanes) * group
        return vector_at(shape.right.source, [*shape.packed_batch(batch), place], self._lanes * group)


class _CopiedPanels:
    """Panels of a tensor that lies as it happens to, in a buffer of one 32-bit word a group of two, or of 16 bits."""

    def __init__(self, product: IntegerProduct, segment: Segment, lanes: int) -> None:
        self._product = product
        self._segment = segment
        self._lanes = lanes
        self._pairs = product.dot.group == 2
        dtype = "int32" if self._pairs else product.dot.right
        self._panel = local_buffer((product.steps, segment.width), "panel", dtype)
        self.buffers = [self._panel]

    def prepare(self, batch: Any, column: Any) -> list[Any]:
        """Return the statements that copy the panel from `column` on."""
        shape, width = self._product.shape, self._segment.width
        whole = shape.depth // self._product.dot.group

        def word(step: Any, at: Any) -> Any:
            value = self._word(batch, column + at, step, whole)
            if shape.columns < width:
                value = tirx.if_then_else(at < shape.columns, value, tirx.const(0, str(self._panel.dtype)))
            return tirx.BufferStore(self._panel, value, [step, at])

        def row(step: Any) -> Any:
            def vector(first: int) -> Any:
                return loop(self._lanes, lambda lane: word(step, lane + first), "lane", tirx.ForKind.VECTORIZED)

            if shape.columns < width:
                return loop(width, lambda at: word(step, at), "column")
            return sequence([vector(first) for first in range(0, width, self._lanes)])

        if shape.right_in_columns and whole:
            statements = [loop(width, lambda at: loop(whole, lambda step: word(step, at), "step"), "column")]
        else:
            statements = [loop(whole, row, "step")] if whole else []
        return [*statements, *([row(whole)] if whole < self._product.steps else [])]

    def _word(self, batch: Any, column: Any, step: Any, whole: int) -> Any:
        """Return a group as it is stored; one past the last whole group is filled up with zero."""
        if not self._pairs:
            return tirx.Cast(self._product.dot.right, self._product.right_at(batch, column, step))
        low = self._product.right_at(batch, column, step * 2)
        low = tirx.bitwise_and(low, tirx.const(0xFFFF, "int32"))
        if isinstance(step, int) and step == whole:
            return low
        high = self._product.right_at(batch, column, step * 2 + 1)
        return tirx.bitwise_or(tirx.shift_left(high, tirx.const(16, "int32")), low)

    def vector(self, batch: Any, panel: Any, number: int, step: Any) -> Any:
        """Return a vector of a panel's row."""
        del batch, panel
        words = vector_at(self._panel, [step, number * self._lanes], self._lanes)
        return tirx.reinterpret(f"{self._product.dot.right}x{2 * self._lanes}", words) if self._pairs else words
