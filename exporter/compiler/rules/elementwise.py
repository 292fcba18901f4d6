"""Chains of elementwise operations, broadcasts, slices, gathers of rows, concatenations: one pass over the result."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from tvm import tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.rules.boxes import Box, boxes, within
from hwloop.exporter.compiler.rules.chain import Chain, chain_of
from hwloop.exporter.compiler.rules.epilogue import Unmatched
from hwloop.exporter.compiler.rules.microkernel import allocating, kernel_body, local_buffer, loop, sequence
from hwloop.exporter.compiler.rules.runs import Run, Spot, chooses, reads_in, spot_of
from hwloop.exporter.compiler.rules.sharing import cores_for, shared
from hwloop.exporter.compiler.rules.stages import loads_of, read_stages, rewrite, unflatten
from hwloop.exporter.compiler.rules.tilings import Options

VECTORS = 4  # in one turn of the loop along a run
UNROLLED = 8  # vectors of a run that are written out one by one
LONGEST = 4096  # numbers of a run that are one task


class Elementwise:
    """Kernels without reductions, whose result's numbers each stem from known places of what the kernel is given."""

    name = "elementwise"

    def apply(self, kernel: Any, machine: Machine) -> Any | None:
        """Return the kernel as vectorized runs; None if a stage reduces or there is more than one result."""
        stages = read_stages(kernel)
        try:
            chain = chain_of(stages or [], kernel.params)
        except Unmatched:
            return None
        values = [value for _, value in chain.steps]
        parts = [_Runs(chain, box, machine).body() for box in boxes(values, chain.axes, chain.extents)]
        return kernel.with_body(kernel_body(sequence(parts))).with_attr("tirx.is_scheduled", True)

    def options(self, kernel: Any, machine: Machine) -> Options:
        """Return no options: there is one way."""
        del kernel, machine
        return Options()


class _Runs:
    """One box of the result as runs of numbers that lie side by side, in the result and wherever they come from."""

    def __init__(self, chain: Chain, box: Box, machine: Machine) -> None:
        self._chain = chain
        self._box = box
        self._machine = machine
        self._steps = [(buffer, within(value, chain.axes, box)) for buffer, value in chain.steps]
        self._rows = [tirx.Var(f"row{number}", "int64") for number in range(len(box.extents))]
        self._at = tirx.Var("at", "int64")
        self._split, self._spots = self._longest()
        self._size = prod(box.extents[self._split :])
        self._lanes = min(machine.float_lanes, 1 << (self._size.bit_length() - 1))
        self._kept = {buffer: local_buffer((self._lanes,), "kept", str(buffer.dtype)) for buffer, _ in self._steps[:-1]}

    def body(self) -> Any:
        """Return the statement that computes the box."""
        length = min(self._size, LONGEST)
        pieces = -(-self._size // length)

        def task(number: Any) -> Any:
            start = number % pieces * length
            if self._size % length:
                start = tirx.min(start, self._size - length)
            return self._piece(number // pieces, start, length)

        rows = prod(self._box.extents[: self._split])
        cores = max(cores_for(rows * self._size, value, self._machine) for _, value in self._steps)
        return shared(rows * pieces, cores, task, lambda tasks: allocating(list(self._kept.values()), tasks))

    def _longest(self) -> tuple[int, list[Spot]]:
        """Return the first axis from which on all can be walked as one, each place moving by 0 or 1, and the places.

        Where there is none it is the last axis, with the places that move by any constant.
        """
        for split in range(len(self._box.extents)):
            found = self._spots_from(split)
            if all(spot and spot.stride in (0, 1) for spot in found):
                return split, [spot for spot in found if spot]
        last = max(len(self._box.extents) - 1, 0)
        return last, [spot for spot in self._spots_from(last) if spot]

    def _spots_from(self, split: int) -> list[Spot | None]:
        axes = self._point(split, self._rows[:split], self._at)
        bounds = dict(zip(self._rows[:split], self._box.extents[:split], strict=True))
        bounds[self._at] = prod(self._box.extents[split:])
        found = [spot_of(self._chain.result, self._chain.result, list(axes.values()), self._at, bounds)]
        for _, value in self._steps:
            for load in loads_of(value):
                if any(load.source.same_as(buffer) for buffer, _ in self._steps[:-1]):
                    continue
                safe = not (chooses(value) and reads_in(load.indices))
                indices = [rewrite(index, axes) for index in load.indices]
                if indices:
                    found.append(spot_of(load, load.source, indices, self._at, bounds) if safe else None)
        return found

    def _point(self, split: int, rows: Sequence[Any], at: Any) -> dict[Any, Any]:
        """Return the result's axes at the `at`-th number of a run; `rows` are the axes before it in the box."""
        place = [*rows, *unflatten(at, self._box.extents[split:])]
        corner = self._box.first
        shifted = [_whole(index) + low if low else _whole(index) for index, low in zip(place, corner, strict=True)]
        return dict(zip(self._chain.axes, shifted, strict=True))

    def _piece(self, row: Any, start: Any, length: int) -> Any:
        lanes = self._lanes
        whole, rest = divmod(length, lanes)
        groups = whole // VECTORS if whole > UNROLLED else 0
        rows = unflatten(row, self._box.extents[: self._split])
        known = dict(zip(self._rows, map(_whole, rows), strict=False)) | {self._at: _whole(start)}
        run = Run(self._spots, known)

        def vector(offset: Any) -> Any:
            return loop(lanes, lambda lane: number(offset + lane, lane), "lane", tirx.ForKind.VECTORIZED)

        def number(offset: Any, lane: Any) -> Any:
            axes = self._point(self._split, rows, start + offset)
            kept = {buffer: local[lane] for buffer, local in self._kept.items()}
            made = [run.value(value, axes, offset, kept) for _, value in self._steps]
            statements = [
                tirx.BufferStore(local, value, [lane]) for local, value in zip(self._kept.values(), made, strict=False)
            ]
            place = run.indices(self._chain.result, offset) or list(axes.values())
            return sequence([*statements, tirx.BufferStore(self._chain.result, made[-1], place)])

        def group(turn: Any) -> Any:
            return sequence([vector(turn * (VECTORS * lanes) + place * lanes) for place in range(VECTORS)])

        statements = [loop(groups, group, "group")] if groups else []
        statements += [vector(_whole(turn * lanes)) for turn in range(groups * VECTORS, whole)]
        if rest:
            statements.append(vector(_whole(length - lanes)))  # overlaps the one before it
        return sequence([*run.starts, *statements])


def _whole(index: Any) -> Any:
    return tirx.const(index, "int64") if isinstance(index, int) else index
