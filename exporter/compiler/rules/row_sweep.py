"""Numbers reduced along a row of memory: vectors down the row, several sums under way, one number in the end."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import tvm_ffi
from tvm import tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.rules.microkernel import local_buffer, loop, sequence, spread, vector_at
from hwloop.exporter.compiler.rules.reduction_plan import Made, Plan, Sweep
from hwloop.exporter.compiler.rules.stages import loads_of, rewrite

SUMS = 4  # vectors summed apart from each other, which hides most of an addition's latency
UNROLLED = 8  # vectors of a row that are written out one by one


class RowSweep:
    """Writes the sweeps over one row; `tasks` is how many rows there are."""

    def __init__(self, plan: Plan, machine: Machine) -> None:
        self.tasks = plan.rows
        self._plan = plan
        self._size = prod(plan.reduced)
        self._lanes = min(machine.float_lanes, 1 << (self._size.bit_length() - 1))
        self._slots = min(SUMS, self._size // self._lanes)
        self._rows = {
            made.buffer: local_buffer((self._size,), "row", str(made.buffer.dtype))
            for sweep in plan.sweeps
            for made in sweep.numbers
            if made.buffer not in plan.outputs
        }
        self._sums = {
            made.buffer: local_buffer((self._slots * self._lanes,), "sums", str(made.buffer.dtype))
            for sweep in plan.sweeps
            for made in sweep.sums
        }

        followed = [made.buffer for sweep in plan.sweeps for made in (*sweep.sums, *sweep.scalars)]
        self._scalars = {buffer: local_buffer((1,), "scalar", str(buffer.dtype)) for buffer in followed}
        self._inverses = {buffer: local_buffer((1,), "inverse", str(buffer.dtype)) for buffer in followed}

    def buffers(self) -> list[Any]:
        """Return the local buffers that `task` needs."""
        kinds = (self._rows, self._sums, self._scalars, self._inverses)
        return [buffer for buffers in kinds for buffer in buffers.values()]

    def task(self, row: Any) -> Any:
        """Return the statement that computes one row."""
        scalars: dict[Any, Any] = {}
        return sequence([part for sweep in self._plan.sweeps for part in self._sweep(sweep, row, scalars)])

    def _sweep(self, sweep: Sweep, row: Any, scalars: dict[Any, Any]) -> list[Any]:
        """Return one walk down the row and what follows from its sums, which `scalars` then has too."""
        values = _Values(self._plan, row, self._rows, scalars, self._inverses)
        statements = values.prepare(sweep)
        for made in sweep.sums:
            start = spread(made.identity, self._lanes)
            statements += [self._sums[made.buffer].vstore([slot * self._lanes], start) for slot in range(self._slots)]
        if sweep.sums or sweep.numbers:
            statements += self._walk(sweep, row, values)
        for made in sweep.sums:
            statements += self._total(made, scalars)
        for made in sweep.scalars:
            statements.append(_kept(self._scalars, made.buffer, values.of(made, 0), scalars))
        for made in (*sweep.sums, *sweep.scalars):
            if made.buffer in self._plan.outputs:
                place = self._plan.place(made.buffer, row, 0, 0)
                statements.append(tirx.BufferStore(made.buffer, scalars[made.buffer], place))
        return statements

    def _walk(self, sweep: Sweep, row: Any, values: _Values) -> list[Any]:
        lanes, slots = self._lanes, self._slots
        whole, rest = divmod(self._size, lanes)
        groups = whole // slots if whole > UNROLLED else 0

        def group(number: Any) -> Any:
            first = number * (slots * lanes)
            return sequence([self._vector(sweep, row, values, first + slot * lanes, slot) for slot in range(slots)])

        statements = [loop(groups, group, "group")] if groups else []
        for number in range(groups * slots, whole):
            statements.append(self._vector(sweep, row, values, number * lanes, number % slots))
        if rest:
            # The last vector overlaps the one before it; what both have is counted once.
            last = self._vector(sweep, row, values, self._size - lanes, whole % slots, lanes - rest)
            statements.append(last)
        return statements

    def _vector(self, sweep: Sweep, row: Any, values: _Values, first: Any, slot: int, seen: int = 0) -> Any:
        def number(lane: Any) -> Any:
            at, here = first + lane, slot * self._lanes + lane
            statements = []
            for made in sweep.numbers:
                kept = self._rows.get(made.buffer, made.buffer)
                place = [at] if made.buffer in self._rows else self._plan.place(kept, row, at, 0)
                statements.append(tirx.BufferStore(kept, values.of(made, at), place))
            for made in sweep.sums:
                total, value = self._sums[made.buffer], values.of(made, at)
                if seen:
                    value = tirx.Select(lane >= seen, value, made.identity)
                statements.append(tirx.BufferStore(total, made.combined(total[here], value), [here]))
            return sequence(statements)

        return loop(self._lanes, number, "lane", tirx.ForKind.VECTORIZED)

    def _total(self, made: Made, scalars: dict[Any, Any]) -> list[Any]:
        """Return the statements that combine a sum's vectors, then halves of a vector, down to one number."""
        sums = self._sums[made.buffer]
        total = vector_at(sums, [0], self._lanes)
        for slot in range(1, self._slots):
            total = made.combined(total, vector_at(sums, [slot * self._lanes], self._lanes))
        statements, width = [], self._lanes
        while width > 1:
            vector = tirx.Var("total", total.ty)
            statements.append(tirx.Bind(vector, total))
            width //= 2
            halves = [tirx.Shuffle([vector], list(range(first, first + width))) for first in (0, width)]
            total = made.combined(*halves)
        return [*statements, _kept(self._scalars, made.buffer, total, scalars)]


class _Values:
    """Expressions of a row's numbers from what is known of the row so far."""

    def __init__(
        self,
        plan: Plan,
        row: Any,
        rows: Mapping[Any, Any],
        scalars: Mapping[Any, Any],
        inverses: Mapping[Any, Any],
    ) -> None:
        self._plan = plan
        self._row = row
        self._rows = rows
        self._scalars = scalars
        self._inverses = inverses
        self._inverse: dict[Any, Any] = {}

    def prepare(self, sweep: Sweep) -> list[Any]:
        """Return the statements that invert what numbers of a sweep are divided by: a product is faster."""
        statements: list[Any] = []

        def divided(found: Any) -> None:
            buffer = self._divisor(found)
            if buffer is not None and buffer not in self._inverse:
                one = tirx.const(1.0, str(buffer.dtype))
                statements.append(_kept(self._inverses, buffer, one / self._scalars[buffer], self._inverse))

        for made in (*sweep.numbers, *sweep.sums):
            tvm_ffi.structural_walk(made.value, (tirx.Div, divided))
        return statements

    def _divisor(self, division: Any) -> Any | None:
        """Return the scalar that an expression divides floats by, if it does."""
        loads = loads_of(division.b)
        alone = len(loads) == 1 and loads[0].same_as(division.b)
        if not alone or loads[0].source not in self._scalars:
            return None
        return loads[0].source if str(division.b.ty.dtype).startswith("float") else None

    def of(self, made: Made, at: Any) -> Any:
        """Return the number at a place of the row."""

        def multiplied(found: Any, mutator: Any) -> Any:
            buffer = self._divisor(found)
            if buffer is None or buffer not in self._inverse:
                return mutator.default_mutate(found)
            return mutator.mutate(found.a) * self._inverse[buffer]

        value = tvm_ffi.structural_mutate(made.value, [(tirx.Div, multiplied)]) if self._inverse else made.value
        loads = {buffer: (lambda _indices, known=known: known) for buffer, known in self._scalars.items()}
        for buffer, row in self._rows.items():
            loads[buffer] = lambda _indices, row=row: row[at]
        return rewrite(value, self._plan.point(self._row, at, 0), loads)


def _kept(places: Mapping[Any, Any], buffer: Any, value: Any, known: dict[Any, Any]) -> Any:
    """Return the statement that keeps a scalar in its place; `known` then has it."""
    known[buffer] = places[buffer][0]
    return tirx.BufferStore(places[buffer], value, [tirx.const(0, "int64")])
