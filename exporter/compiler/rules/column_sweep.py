"""Numbers reduced across rows of memory: every lane of a vector has a sum of its own."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from tvm import tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.rules.microkernel import local_buffer, loop, sequence, spread
from hwloop.exporter.compiler.rules.reduction_plan import Made, Plan, Sweep
from hwloop.exporter.compiler.rules.stages import rewrite

VECTORS = 4  # side by side in a block of columns


class ColumnSweep:
    """Writes the sweeps over a block of columns; `tasks` is how many blocks there are.

    The last block begins earlier where it would reach beyond the last column.
    """

    def __init__(self, plan: Plan, machine: Machine) -> None:
        self._plan = plan
        self._columns = prod(plan.inner)
        self._lanes = min(machine.float_lanes, 1 << (self._columns.bit_length() - 1))
        self._width = self._lanes * min(VECTORS, self._columns // self._lanes)
        self._blocks = -(-self._columns // self._width)
        self.tasks = plan.rows * self._blocks
        depth = prod(plan.reduced)
        self._depth = depth
        self._kept: dict[Any, Any] = {}
        for sweep in plan.sweeps:
            for made in (*sweep.sums, *sweep.scalars):
                self._kept[made.buffer] = local_buffer((self._width,), "sums", str(made.buffer.dtype))
            for made in sweep.numbers:
                if made.buffer not in plan.outputs:
                    self._kept[made.buffer] = local_buffer((depth, self._width), "rows", str(made.buffer.dtype))

    def buffers(self) -> list[Any]:
        """Return the local buffers that `task` needs."""
        return list(self._kept.values())

    def task(self, number: Any) -> Any:
        """Return the statement that computes one block."""
        row, block = number // self._blocks, number % self._blocks
        first = block * self._width
        if self._columns % self._width:
            first = tirx.min(first, self._columns - self._width)
        writer = _Block(self._plan, self._kept, self._lanes, self._width, row, first)
        return sequence([part for sweep in self._plan.sweeps for part in writer.sweep(sweep, self._depth)])


class _Block:
    """One block: `width` columns of `row` from column `first` on."""

    def __init__(self, plan: Plan, kept: Mapping[Any, Any], lanes: int, width: int, row: Any, first: Any) -> None:
        self._plan = plan
        self._kept = kept
        self._lanes = lanes
        self._width = width
        self._row = row
        self._first = first

    def sweep(self, sweep: Sweep, depth: int) -> list[Any]:
        statements = [
            self._kept[made.buffer].vstore([at], spread(made.identity, self._lanes))
            for made in sweep.sums
            for at in range(0, self._width, self._lanes)
        ]
        if sweep.sums or sweep.numbers:
            walk = loop(depth, lambda step: self._vectors(lambda at: self._step(sweep, step, at)), "step")
            statements.append(walk)
        results = [made for made in (*sweep.sums, *sweep.scalars) if made.buffer in self._plan.outputs]
        if sweep.scalars or results:
            statements.append(self._vectors(lambda at: self._follow(sweep.scalars, results, at)))
        return statements

    def _vectors(self, body: Any) -> Any:
        return sequence([self._vector(body, at) for at in range(0, self._width, self._lanes)])

    def _vector(self, body: Any, first: int) -> Any:
        return loop(self._lanes, lambda lane: body(first + lane), "lane", tirx.ForKind.VECTORIZED)

    def _step(self, sweep: Sweep, step: Any, at: Any) -> Any:
        statements = []
        for made in sweep.numbers:
            own = self._kept.get(made.buffer)
            place = [step, at] if own is not None else self._place(made, step, at)
            target = made.buffer if own is None else own
            statements.append(tirx.BufferStore(target, self._value(made, step, at), place))
        for made in sweep.sums:
            total = self._kept[made.buffer]
            statements.append(tirx.BufferStore(total, made.combined(total[at], self._value(made, step, at)), [at]))
        return sequence(statements)

    def _follow(self, scalars: list[Made], results: list[Made], at: Any) -> Any:
        statements = [tirx.BufferStore(self._kept[made.buffer], self._value(made, 0, at), [at]) for made in scalars]
        for made in results:
            statements.append(tirx.BufferStore(made.buffer, self._kept[made.buffer][at], self._place(made, 0, at)))
        return sequence(statements)

    def _place(self, made: Made, step: Any, at: Any) -> list[Any]:
        return self._plan.place(made.buffer, self._row, step, self._first + at)

    def _value(self, made: Made, step: Any, at: Any) -> Any:
        loads = {}
        for buffer, own in self._kept.items():
            where = [step, at] if len(own.shape) > 1 else [at]
            loads[buffer] = lambda _indices, own=own, where=where: own[tuple(where)]
        return rewrite(made.value, self._plan.point(self._row, step, self._first + at), loads)
