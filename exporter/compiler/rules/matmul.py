"""Matrix products on register tiles, with what follows them computed on each tile while it is in the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from tvm import tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import PANEL, PRODUCT, Panels, Segment
from hwloop.exporter.compiler.rules.epilogue import Epilogue, Unmatched
from hwloop.exporter.compiler.rules.microkernel import (
    Tile,
    allocating,
    best_rows,
    best_tile,
    kernel_body,
    local_buffer,
    loop,
    loop_between,
    register_tile,
    sequence,
    spread,
    sum_buffers,
    vector_at,
)
from hwloop.exporter.compiler.rules.stages import Stage, read_stages, rewrite, simplified, stride, unflatten

PARALLEL_FROM = 200_000  # multiply-adds; below, starting the other threads costs more than they save


@dataclass(frozen=True)
class Product:
    """result[batch, row, column] = sum over k of left[batch, row, k] * right[batch, k, column], as a stage says it."""

    stage: Stage
    batch: tuple[int, ...]
    rows: tuple[int, ...]
    columns: int
    depth: int
    left: Any
    right: Any
    panel: int  # the width of the panels that the right side is packed in; 0 if it is not packed

    def place(self, batch: Any, row: Any, column: Any) -> list[Any]:
        """Return the product's element as indices of its tensor."""
        return [*unflatten(batch, self.batch), *unflatten(row, self.rows), column]

    def left_at(self, batch: Any, row: Any, step: Any) -> Any:
        """Return the left side's number."""
        return self._at(self.left, batch, row, 0, step)

    def right_indices(self, batch: Any, column: Any, step: Any) -> list[Any]:
        """Return where the right side's number is, where it is not packed."""
        return [self._at(index, batch, 0, column, step) for index in self.right.indices]

    def _at(self, value: Any, batch: Any, row: Any, column: Any, step: Any) -> Any:
        axes = dict(zip(self.stage.axes, self.place(batch, row, column), strict=True))
        return rewrite(value, {**axes, self.stage.reduced[0]: step})

    def left_indices(self, batch: Any, row: Any, step: Any) -> list[Any]:
        """Return where the left side's number is."""
        return [self._at(index, batch, row, 0, step) for index in self.left.indices]

    @property
    def left_in_rows(self) -> bool:
        """Return whether numbers of consecutive steps lie side by side on the left."""
        return _side_by_side(self.left.indices, self.stage.reduced[0])

    @property
    def right_in_rows(self) -> bool:
        """Return whether numbers of neighbouring columns lie side by side on the right."""
        return _side_by_side(self.right.indices, self.stage.axes[-1])


def _side_by_side(indices: Sequence[Any], axis: Any) -> bool:
    *others, last = indices
    return stride(last, axis) == 1 and all(stride(other, axis) == 0 for other in others)


class Matmul:
    """Products that `passes/products.py` marked."""

    name = "matmul"

    def apply(self, kernel: Any, machine: Machine) -> Any | None:
        """Return the kernel on register tiles; None if it is no product, or what follows does not fit on tiles."""
        stages = read_stages(kernel)
        product = stages and _product(stages)
        if not stages or not product:
            return None
        try:
            epilogue = Epilogue(stages, product.stage, machine.float_lanes)
        except Unmatched:
            return None
        return kernel.with_body(_Writer(product, epilogue, machine).body()).with_attr("tirx.is_scheduled", True)


def _product(stages: Sequence[Stage]) -> Product | None:
    marked = [stage for stage in stages if PRODUCT in stage.annotations]
    if len(marked) != 1 or not isinstance(marked[0].value, tirx.Add):
        return None
    stage = marked[0]
    axes, extents = (*stage.axes, *stage.reduced), (*stage.extents, *stage.depths)
    left, right = (_simpler(side, axes, extents) for side in (stage.value.b.a, stage.value.b.b))
    batched = int(stage.annotations[PRODUCT])
    return Product(
        stage,
        stage.extents[:batched],
        stage.extents[batched:-1],
        stage.extents[-1],
        stage.depths[0],
        left,
        right,
        int(stage.annotations[PANEL]),
    )


def _simpler(load: Any, axes: Sequence[Any], extents: Sequence[int]) -> Any:
    return load.source[tuple(simplified(index, axes, extents) for index in load.indices)]


class _Writer:
    """Writes the kernel of one product."""

    def __init__(self, product: Product, epilogue: Epilogue, machine: Machine) -> None:
        self._product = product
        self._epilogue = epilogue
        self._machine = machine
        self._lanes = machine.float_lanes
        self._rows = prod(product.rows)
        self._batch = prod(product.batch)
        self._buffers: list[Any] = []

    def body(self) -> Any:
        """Return the kernel's body: every core's share of the tiles."""
        product = self._product
        width = product.panel or self._tile(product.columns).vectors * self._lanes
        panels = Panels(product.columns, product.depth, width, self._lanes)
        work = self._batch * self._rows * product.columns * product.depth
        cores = self._machine.cores if work >= PARALLEL_FROM else 1

        def share(core: Any) -> Any:
            statements = [self._segment(segment, core, cores) for segment in panels.segments()]
            return allocating([*self._buffers, *self._epilogue.buffers()], sequence(statements))

        return kernel_body(loop(cores, share, "core", tirx.ForKind.PARALLEL))

    def _tile(self, columns: int) -> Tile:
        return best_tile(self._rows, columns, self._product.depth, self._machine)

    def _segment(self, segment: Segment, core: Any, cores: int) -> Any:
        """Return one core's share of panels of one width: whole panels, or some of the rows of each, as is fairer."""
        tile = Tile(best_rows(self._rows, segment.width // self._lanes, self._machine), segment.width // self._lanes)
        panels, down = self._batch * segment.count, -(-self._rows // tile.rows)
        by_panel = not self._product.panel or _fairness(panels, cores) >= _fairness(down, cores)
        first_panel, past_panel = _share(panels, core, cores) if by_panel else (0, panels)
        first_tile, past_tile = (0, down) if by_panel else _share(down, core, cores)
        sums = sum_buffers(tile, self._lanes)
        writer = _Tiles(self._product, self._epilogue, segment, tile, self._rows, self._machine, sums)
        self._buffers += writer.buffers

        def panel(number: Any) -> Any:
            batch, panel = tirx.floordiv(number, segment.count), tirx.floormod(number, segment.count)
            column = segment.first + panel * segment.width
            tiles = loop_between(first_tile, past_tile, lambda at: writer.tile(batch, at, panel, column), "tile")
            return tiles if self._product.panel else sequence([writer.pack(batch, column), tiles])

        return loop_between(first_panel, past_panel, panel, "panel")


class _Tiles:
    """Writes the tiles of panels of one width."""

    def __init__(
        self,
        product: Product,
        epilogue: Epilogue,
        segment: Segment,
        tile: Tile,
        rows: int,
        machine: Machine,
        sums: Sequence[Any],
    ) -> None:
        self._product = product
        self._epilogue = epilogue
        self._segment = segment
        self._tile = tile
        self._rows = rows
        self._machine = machine
        self._lanes = machine.float_lanes
        self._sums = sums
        self._block = local_buffer((tile.rows, segment.width), "block")
        self._straight = epilogue.empty and product.columns >= segment.width
        self._panel = local_buffer((product.depth, segment.width), "panel")
        self.buffers = [*sums]
        if not self._straight:
            self.buffers.append(self._block)
        if not product.panel:
            self.buffers.append(self._panel)

    def pack(self, batch: Any, column: Any) -> Any:
        """Return the statement that packs a panel of the right side."""
        product, width = self._product, self._segment.width
        right = product.right.source

        def number(step: Any, at: Any) -> Any:
            value = right[tuple(product.right_indices(batch, column + at, step))]
            if product.columns < width:
                value = tirx.if_then_else(at < product.columns, value, tirx.const(0, str(right.dtype)))
            return self._panel.vstore([step, at], value)

        if not product.right_in_rows or product.columns < width:
            return loop(width, lambda at: loop(product.depth, lambda step: number(step, at), "step"), "column")

        def row(step: Any) -> Any:
            places = [vector * self._lanes for vector in range(self._tile.vectors)]
            vectors = [vector_at(right, product.right_indices(batch, column + at, step), self._lanes) for at in places]
            return sequence([self._panel.vstore([step, at], v) for at, v in zip(places, vectors, strict=True)])

        return loop(product.depth, row, "step")

    def _right(self, panel: Any) -> Callable[[int, Any], Any]:
        """Return what gives a vector of a panel's row."""
        segment, lanes = self._segment, self._lanes
        if not self._product.panel:
            return lambda vector, step: vector_at(self._panel, [step, vector * lanes], lanes)
        start = segment.offset + panel * (segment.width * self._product.depth)
        source = self._product.right.source
        return lambda vector, step: vector_at(source, [start + step * segment.width + vector * lanes], lanes)

    def tile(self, batch: Any, number: Any, panel: Any, column: Any) -> Any:
        """Return the statement that computes one tile and stores what becomes of it."""
        tile, lanes, product = self._tile, self._lanes, self._product
        row = number * tile.rows
        if self._rows % tile.rows:
            row = tirx.min(row, self._rows - tile.rows)
        computed = register_tile(
            tile,
            lanes,
            self._sums,
            [product.depth],
            lambda below, step: spread(product.left_at(batch, row + below, step), lanes),
            self._right(panel),
            left_run=self._left_run(batch, row),
        )
        vectors = [(below, vector * lanes) for below in range(tile.rows) for vector in range(tile.vectors)]
        if self._straight:
            stores = [
                product.stage.buffer.vstore(
                    product.place(batch, row + below, column + at), vector_at(self._sums[below], [at], lanes)
                )
                for below, at in vectors
            ]
            return sequence([computed, *stores])
        kept = [self._block.vstore([below, at], vector_at(self._sums[below], [at], lanes)) for below, at in vectors]
        return sequence(
            [computed, *kept, loop(tile.rows, lambda below: self._finish(batch, row, below, column), "below")]
        )

    def _left_run(self, batch: Any, row: Any) -> Callable[[int, Any], Any] | None:
        """Return what gives a row's numbers at consecutive steps, where they lie side by side and it is of use."""
        product = self._product
        if not self._machine.multiplies_by_lane or not product.left_in_rows:
            return None
        left = product.left.source
        return lambda below, step: vector_at(left, product.left_indices(batch, row + below, step), self._lanes)

    def _finish(self, batch: Any, row: Any, below: Any, column: Any) -> Any:
        def element(at: Any, lane: Any) -> Any:
            place = self._product.place(batch, row + below, column + at)
            return self._epilogue.store(place, self._block[below, at], lane)

        def vector(first: int) -> Any:
            return loop(self._lanes, lambda lane: element(lane + first, lane), "lane", tirx.ForKind.VECTORIZED)

        if self._product.columns < self._segment.width:
            return loop(self._product.columns, lambda at: element(at, 0), "column")
        return sequence([vector(number * self._lanes) for number in range(self._tile.vectors)])


def _share(tasks: int, core: Any, cores: int) -> tuple[Any, Any]:
    if cores == 1:
        return 0, tasks
    return tirx.floordiv(core * tasks, cores), tirx.floordiv((core + 1) * tasks, cores)


def _fairness(tasks: int, cores: int) -> float:
    return tasks / (-(-tasks // cores) * cores)
