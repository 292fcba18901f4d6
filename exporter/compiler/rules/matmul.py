"""Matrix products on register tiles, with what follows them computed on each tile while it is in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from tvm import tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import Panels, Segment
from hwloop.exporter.compiler.rules.cores import cores_for, fairness, share
from hwloop.exporter.compiler.rules.epilogue import Epilogue, Unmatched
from hwloop.exporter.compiler.rules.factors import Factors, FloatFactors
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
    sum_buffers,
    vector_at,
)
from hwloop.exporter.compiler.rules.product import Product, product_of
from hwloop.exporter.compiler.rules.stages import read_stages
from hwloop.exporter.compiler.rules.tilings import Options, Packed, place_of, tilings_for


class Matmul:
    """Products that `passes/products.py` marked."""

    name = "matmul"

    def apply(self, kernel: Any, machine: Machine) -> Any | None:
        """Return the kernel on register tiles; None if it is no product, or what follows does not fit on tiles."""
        stages = read_stages(kernel)
        product = stages and product_of(stages)
        if not stages or not product:
            return None
        try:
            epilogue = Epilogue(stages, product.stage, machine.float_lanes)
        except Unmatched:
            return None
        body = tiled(product, FloatFactors(product, machine), epilogue, machine)
        return kernel.with_body(body).with_attr("tirx.is_scheduled", True)

    def options(self, kernel: Any, machine: Machine) -> Options:
        """Return other tiles, and the packed side if there is one."""
        product = product_of(read_stages(kernel) or [])
        return options_of(product, FloatFactors(product, machine), kernel, machine) if product else Options()


def options_of(product: Product, factors: Factors, kernel: Any, machine: Machine) -> Options:
    """Return the other tiles for a kernel that computes a product."""
    rows, lanes = prod(product.rows), machine.float_lanes
    sizes = rows, product.columns, factors.steps
    vectors = product.panel // lanes or best_tile(*sizes, machine).vectors
    own = Tile(best_rows(rows, vectors, machine), vectors)
    cores = cores_for(prod(product.batch) * rows * product.columns * product.depth, machine)
    packed = None
    if product.panel:
        panels = Panels(product.columns, factors.steps, product.panel, lanes)
        packed = Packed(place_of(product.right.source, kernel.params), panels)
    return Options(tilings_for(*sizes, own, cores, machine), packed)


def tiled(product: Product, factors: Factors, epilogue: Epilogue, machine: Machine) -> Any:
    """Return a kernel's body that computes a product, and what follows it, on register tiles."""
    return _Writer(product, factors, epilogue, machine).body()


class _Writer:
    """Writes the kernel of one product."""

    def __init__(self, product: Product, factors: Factors, epilogue: Epilogue, machine: Machine) -> None:
        self._product = product
        self._factors = factors
        self._epilogue = epilogue
        self._machine = machine
        self._lanes = machine.float_lanes
        self._rows = prod(product.rows)
        self._batch = prod(product.batch)
        self._buffers: list[Any] = []

    def body(self) -> Any:
        """Return the kernel's body: every core's share of the tiles."""
        product = self._product
        told = None if self._machine.tiling else product.panel
        width = told or self._tile(product.columns).vectors * self._lanes
        panels = Panels(product.columns, self._factors.steps, width, self._lanes)
        work = self._batch * self._rows * product.columns * product.depth
        cores = cores_for(work, self._machine)

        def part(core: Any) -> Any:
            statements = [self._segment(segment, core, cores) for segment in panels.segments()]
            return allocating([*self._buffers, *self._epilogue.buffers()], sequence(statements))

        def before(core: Any) -> Any:
            return sequence(self._factors.before(*share(self._batch * self._rows, core, cores)))

        phases = [before, part] if self._factors.buffers else [part]
        statements = [loop(cores, phase, "core", tirx.ForKind.PARALLEL) for phase in phases]
        return kernel_body(allocating(self._factors.buffers, sequence(statements)))

    def _tile(self, columns: int) -> Tile:
        return best_tile(self._rows, columns, self._factors.steps, self._machine)

    def _segment(self, segment: Segment, core: Any, cores: int) -> Any:
        """Return one core's share of panels of one width: whole panels, or some of the rows of each, as is fairer."""
        tile = Tile(best_rows(self._rows, segment.width // self._lanes, self._machine), segment.width // self._lanes)
        panels, down = self._batch * segment.count, -(-self._rows // tile.rows)
        by_panel = not self._product.panel or fairness(panels, cores) >= fairness(down, cores)
        first_panel, past_panel = share(panels, core, cores) if by_panel else (0, panels)
        first_tile, past_tile = (0, down) if by_panel else share(down, core, cores)
        sums = sum_buffers(tile, self._lanes, self._factors.dtype)
        writer = _Tiles(self._product, self._factors, self._epilogue, segment, tile, self._rows, self._machine, sums)
        self._buffers += writer.buffers

        def panel(number: Any) -> Any:
            batch, panel = tirx.floordiv(number, segment.count), tirx.floormod(number, segment.count)
            column = segment.first + panel * segment.width
            tiles = loop_between(first_tile, past_tile, lambda at: writer.tile(batch, at, panel, column), "tile")
            return sequence([*writer.right.prepare(batch, column), tiles])

        return loop_between(first_panel, past_panel, panel, "panel")


class _Tiles:
    """Writes the tiles of panels of one width."""

    def __init__(
        self,
        product: Product,
        factors: Factors,
        epilogue: Epilogue,
        segment: Segment,
        tile: Tile,
        rows: int,
        machine: Machine,
        sums: Sequence[Any],
    ) -> None:
        self._product = product
        self._factors = factors
        self._epilogue = epilogue
        self._segment = segment
        self._tile = tile
        self._rows = rows
        self._lanes = machine.float_lanes
        self._sums = sums
        self._block = local_buffer((tile.rows, segment.width), "block", factors.dtype)
        self._straight = epilogue.empty and product.columns >= segment.width
        self.right = factors.panels(segment)
        self.buffers = [*sums, *self.right.buffers]
        if not self._straight:
            self.buffers.append(self._block)

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
            [self._factors.steps],
            lambda below, step: self._factors.left(batch, row + below, step),
            lambda vector, step: self.right.vector(batch, panel, vector, step),
            self._factors.combine,
            self._factors.left_run(batch, row),
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

    def _finish(self, batch: Any, row: Any, below: Any, column: Any) -> Any:
        def element(at: Any, lane: Any) -> Any:
            place = self._product.place(batch, row + below, column + at)
            return self._epilogue.store(place, self._block[below, at], lane)

        def vector(first: int) -> Any:
            return loop(self._lanes, lambda lane: element(lane + first, lane), "lane", tirx.ForKind.VECTORIZED)

        if self._product.columns < self._segment.width:
            return loop(self._product.columns, lambda at: element(at, 0), "column")
        return sequence([vector(number * self._lanes) for number in range(self._tile.vectors)])
