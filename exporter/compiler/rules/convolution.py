"""Convolutions on register tiles of neighbouring pixels of one row by vectors of output channels.

No padded copy is made: the places of the window above and below the image bound a loop, and the tiles at the left
and right edge are written apart, each without what is outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from tvm import ir, tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import PANEL, Panels, Segment
from hwloop.exporter.compiler.rules.cores import cores_for, fairness, share
from hwloop.exporter.compiler.rules.epilogue import Epilogue, Unmatched
from hwloop.exporter.compiler.rules.microkernel import (
    Tile,
    accumulation,
    allocating,
    best_rows,
    cleared,
    kernel_body,
    loop,
    loop_between,
    sequence,
    spread,
    sum_buffers,
    vector_at,
)
from hwloop.exporter.compiler.rules.stages import Stage, flat, read_stages, rewrite, simplified
from hwloop.exporter.compiler.rules.tile_store import TileStore
from hwloop.exporter.compiler.rules.tilings import Options, Packed, place_of, tilings_for
from hwloop.exporter.compiler.windowing import CHANNELS_INSIDE, WINDOW, Valid, Window


class Convolution:
    """Convolutions by constants that `passes/convolutions.py` marked."""

    name = "convolution"

    def apply(self, kernel: Any, machine: Machine) -> Any | None:
        """Return the kernel on register tiles; None if it is no convolution, or what follows does not fit on tiles."""
        stages = read_stages(kernel) or []
        stage = _convolution(stages)
        if stage is None:
            return None
        try:
            epilogue = Epilogue(stages, stage, machine.float_lanes)
        except Unmatched:
            return None
        return kernel.with_body(_Writer(stage, epilogue, machine).body()).with_attr("tirx.is_scheduled", True)

    def options(self, kernel: Any, machine: Machine) -> Options:
        """Return other tiles of pixels by channels, and the packed weights."""
        stage = _convolution(read_stages(kernel) or [])
        if stage is None:
            return Options()
        weights = stage.value.b.b.source
        across, columns, depth = stage.extents[2], stage.extents[3] // int(weights.shape[0]), prod(stage.depths)
        panels = Panels(columns, depth, int(stage.annotations[PANEL]), machine.float_lanes)
        vectors = panels.width // panels.lanes
        own = Tile(best_rows(across, vectors, machine), vectors)
        tilings = tilings_for(across, columns, depth, own, cores_for(prod(stage.extents) * depth, machine), machine)
        return Options(tilings, Packed(place_of(weights, kernel.params), panels))


def _convolution(stages: Sequence[Stage]) -> Stage | None:
    marked = [stage for stage in stages if WINDOW in stage.annotations and PANEL in stage.annotations]
    # Where no place lies in the image, TVM leaves nothing to add.
    return marked[0] if len(marked) == 1 and isinstance(marked[0].value, tirx.Add) else None


def window_of(stage: Stage) -> Window:
    """Return the geometry that a block is marked with."""
    return Window(*(int(number) for number in stage.annotations[WINDOW]))


def unconditional(value: Any) -> Any:
    """Return a value without the condition that its place lies inside the image."""
    return value.args[1] if isinstance(value, ir.Call) and value.op == ir.Op.get("prim.if_then_else") else value


class _Writer:
    """Writes the kernel of one convolution."""

    def __init__(self, stage: Stage, epilogue: Epilogue, machine: Machine) -> None:
        self._stage = stage
        self._epilogue = epilogue
        self._machine = machine
        self._lanes = machine.float_lanes
        self._window = window_of(stage)
        product = stage.value.b
        axes, extents = (*stage.axes, *stage.reduced), (*stage.extents, *stage.depths)
        image = unconditional(product.a)
        self._image = image.source[tuple(simplified(index, axes, extents) for index in image.indices)]
        self._weights = product.b.source
        self._groups = int(self._weights.shape[0])
        self._columns = stage.extents[3] // self._groups
        self._channels_inside = bool(stage.annotations[CHANNELS_INSIDE])
        self._channels = stage.depths[2] if self._channels_inside else stage.depths[0]
        self._buffers: list[Any] = []

    def body(self) -> Any:
        """Return the kernel's body: every core's share of the tiles."""
        stage = self._stage
        depth = prod(stage.depths)
        tiling = self._machine.tiling
        width = tiling.vectors * self._lanes if tiling else int(stage.annotations[PANEL])
        panels = Panels(self._columns, depth, width, self._lanes)
        cores = cores_for(prod(stage.extents) * depth, self._machine)

        def part(core: Any) -> Any:
            statements = [self._segment(segment, depth, core, cores) for segment in panels.segments()]
            return allocating([*self._buffers, *self._epilogue.buffers()], sequence(statements))

        return kernel_body(loop(cores, part, "core", tirx.ForKind.PARALLEL))

    def _segment(self, segment: Segment, depth: int, core: Any, cores: int) -> Any:
        """Return one core's share of panels of one width: whole panels, or some of the image's rows."""
        batch, height, width, _ = self._stage.extents
        vectors = segment.width // self._lanes
        tile = Tile(best_rows(width, vectors, self._machine), vectors)
        panels = self._groups * segment.count
        by_panel = fairness(panels, cores) >= fairness(height, cores)
        first_panel, past_panel = share(panels, core, cores) if by_panel else (0, panels)
        first_row, past_row = (0, height) if by_panel else share(height, core, cores)
        sums = sum_buffers(tile, self._lanes)
        store = TileStore(self._epilogue, self._stage.buffer, tile, self._lanes, self._columns)
        self._buffers += [*sums, *store.buffers]

        def panel(number: Any) -> Any:
            group, part = tirx.floordiv(number, segment.count), tirx.floormod(number, segment.count)
            column = group * self._columns + segment.first + part * segment.width
            start = segment.offset + part * (segment.width * depth)

            def weight(vector: int, step: Any) -> Any:
                at = start + step * segment.width + vector * self._lanes
                return vector_at(self._weights, [group, at], self._lanes)

            def row(image: Any, number: Any) -> Any:
                place = image, number

                def one(start: int, count: int, valid: Valid) -> Any:
                    def at(turn: Any) -> Any:
                        pixel = start + turn * tile.rows
                        summed = self._tile(tile, sums, (*place, pixel, column), valid, weight)
                        spots = store.store(sums, lambda below, right: [*place, pixel + below, column + right])
                        return sequence([*summed, *spots])

                    return loop(count, at, "tile")

                return sequence([one(*group) for group in self._window.tiles(width, tile.rows)])

            return loop(
                batch,
                lambda image: loop_between(first_row, past_row, lambda number: row(image, number), "row"),
                "image",
            )

        return loop_between(first_panel, past_panel, panel, "panel")

    def _tile(
        self, tile: Tile, sums: Sequence[Any], place: Sequence[Any], valid: Valid, weight: Callable[[int, Any], Any]
    ) -> list[Any]:
        """Return the statements that sum a tile whose first element is at `place`."""
        first, past = self._window.places_down(place[1], self._stage.extents[1])

        def image(pixel: int, steps: Sequence[Any]) -> list[Any]:
            batch, row, column, out = place
            known = dict(zip(self._stage.axes, (batch, row, column + pixel, out), strict=True))
            known |= dict(zip(self._stage.reduced, self._in_order(steps), strict=True))
            return [rewrite(index, known) for index in self._image.indices]

        def add(pixels: Sequence[int], depths: Sequence[int], at: Callable[..., Sequence[Any]]) -> Any:
            """Add to some pixels' sums; `at` makes (down, across, channel) of the counters of loops over `depths`."""

            def run(number: int, *counters: Any) -> Any:
                return vector_at(self._image.source, image(pixels[number], at(*counters)), self._lanes)

            return accumulation(
                Tile(len(pixels), tile.vectors),
                self._lanes,
                [sums[pixel] for pixel in pixels],
                depths,
                lambda number, *counters: spread(
                    self._image.source[tuple(image(pixels[number], at(*counters)))], self._lanes
                ),
                lambda vector, *counters: weight(vector, flat(self._in_order(at(*counters)), self._stage.depths)),
                left_run=run if self._machine.multiplies_by_lane and self._channels_inside else None,
            )

        def line(down: Any, outer: Any | None) -> Any:
            """Add a row of the window: all channels, or the one of an outer loop."""
            count = self._channels if outer is None else 1
            if all(len(pixels) == tile.rows for pixels in valid):
                depths = [self._window.width, count]
                return add(
                    range(tile.rows), depths, lambda across, inner: (down, across, inner if outer is None else outer)
                )
            return sequence(
                [
                    add(pixels, [count], lambda inner, at=at: (down, at, inner if outer is None else outer))
                    for at, pixels in enumerate(valid)
                    if pixels
                ]
            )

        def lines(outer: Any | None) -> Any:
            return loop_between(first, past, lambda down: line(down, outer), "down")

        body = lines(None) if self._channels_inside else loop(self._channels, lines, "channel")
        return [*cleared(tile, self._lanes, sums), body]

    def _in_order(self, steps: Sequence[Any]) -> Sequence[Any]:
        """Return (down, across, channel) in the order of the sum's loops."""
        down, across, channel = steps
        return (down, across, channel) if self._channels_inside else (channel, down, across)
