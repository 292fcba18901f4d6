"""What follows a product in its kernel (bias, activation, residual, reshape), computed on a tile of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx

from hwloop.exporter.compiler.rules.microkernel import local_buffer, sequence
from hwloop.exporter.compiler.rules.stages import Stage, always_equal, flat, loads_of, rewrite, simplified, unflatten


class Unmatched(Exception):
    """The stages are not such that each number of the result stems from one number of the product."""


class Epilogue:
    """The stages after a product; `store` computes them for some of its elements.

    Raises:
        Unmatched: a later stage reduces, or reads the product elsewhere than at one element.
    """

    def __init__(self, stages: Sequence[Stage], product: Stage, lanes: int) -> None:
        self._product = product
        self._side: dict[Any, Stage] = {}
        self._path: list[tuple[Stage, Any, tuple[Any, ...]]] = []
        on_path = {product.buffer}
        for stage in stages:
            if stage is product:
                continue
            if stage.reduced:
                raise Unmatched(stage.buffer.name)
            reads = [load for load in loads_of(stage.value) if load.source in on_path]
            if not reads:
                self._side[stage.buffer] = stage
                continue
            self._path.append((stage, reads[0].source, tuple(reads[0].indices)))
            on_path.add(stage.buffer)
        if self._path and self._path[-1][0] is not stages[-1]:
            raise Unmatched(stages[-1].buffer.name)
        self._places = {product.buffer: product.axes}
        for stage, source, indices in self._path:
            place = self._place(stage, source, indices)
            self._places[stage.buffer] = tuple(simplified(index, product.axes, product.extents) for index in place)
        for stage, *_ in self._path:
            self._check(stage)
        between = [stage.buffer for stage, *_ in self._path[:-1]]
        self._kept = {buffer: local_buffer((lanes,), buffer.name, str(buffer.dtype)) for buffer in between}

    @property
    def empty(self) -> bool:
        """Return whether the product itself is the result."""
        return not self._path

    @property
    def result(self) -> Any:
        """Return the buffer that the kernel writes."""
        return self._path[-1][0].buffer if self._path else self._product.buffer

    def buffers(self) -> list[Any]:
        """Return the local buffers that `store` needs."""
        return list(self._kept.values())

    def result_place(self, place: Sequence[Any]) -> list[Any]:
        """Return where in the result the product's element at `place` goes."""
        return self._at(self._places[self.result], place)

    def store(self, place: Sequence[Any], number: Any, lane: Any) -> Any:
        """Return the statement that stores what becomes of `number`, the product's element at `place`.

        `lane` is the element's number in the vector that is computed at a time.
        """
        values = {self._product.buffer: number}
        statements: list[Any] = []
        for stage, *_ in self._path:
            axes = self._at(self._places[stage.buffer], place)
            value = self._value(stage, axes, values)
            if stage.buffer in self._kept:
                kept = self._kept[stage.buffer]
                statements.append(tirx.BufferStore(kept, value, [lane]))
                value = kept[lane]
            values[stage.buffer] = value
        return sequence([*statements, tirx.BufferStore(self.result, values[self.result], self.result_place(place))])

    def _value(self, stage: Stage, axes: Sequence[Any], values: dict[Any, Any]) -> Any:
        loads = {buffer: (lambda _indices, known=known: known) for buffer, known in values.items()}
        for buffer, side in self._side.items():
            loads[buffer] = lambda indices, side=side: self._value(side, indices, values)
        return rewrite(stage.value, dict(zip(stage.axes, axes, strict=True)), loads)

    def _at(self, indices: Sequence[Any], place: Sequence[Any]) -> list[Any]:
        axes = dict(zip(self._product.axes, place, strict=True))
        return [index if isinstance(index, int) else rewrite(index, axes) for index in indices]

    def _place(self, stage: Stage, source: Any, indices: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a stage's axes, as expressions of the product's, for the element that it makes of each of them."""
        known = self._places[source]
        shape = tuple(int(size) for size in source.shape)
        if _same_size(shape, stage.extents) and always_equal(
            flat(indices, shape), flat(stage.axes, stage.extents), stage.axes, stage.extents
        ):
            return tuple(unflatten(flat(known, shape), stage.extents))
        found: dict[Any, Any] = {}
        for index, value, size in zip(indices, known, shape, strict=True):
            if size > 1:
                found[index] = value
        places = []
        for axis, extent in zip(stage.axes, stage.extents, strict=True):
            if extent > 1 and axis not in found:
                raise Unmatched(stage.buffer.name)
            places.append(found.get(axis, 0))
        if sum(extent > 1 for extent in stage.extents) != len(found):
            raise Unmatched(stage.buffer.name)
        return tuple(places)

    def _check(self, stage: Stage) -> None:
        """See that a stage reads every tensor on the path at the one element known there."""
        axes = dict(zip(stage.axes, self._places[stage.buffer], strict=True))
        for load in loads_of(stage.value):
            if load.source not in self._places:
                continue
            shape = [int(size) for size in load.source.shape]
            read = flat([rewrite(index, axes) for index in load.indices], shape)
            known = flat(self._places[load.source], shape)
            if not always_equal(read, known, self._product.axes, self._product.extents):
                raise Unmatched(stage.buffer.name)


def _same_size(left: Sequence[int], right: Sequence[int]) -> bool:
    size = 1
    for extent in left:
        size *= extent
    for extent in right:
        size = size // extent if extent and size % extent == 0 else -1
    return size == 1
