"""Windows over each channel by itself: depthwise convolutions and pooling, vectors of channels of several pixels."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from tvm import tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import PANEL
from hwloop.exporter.compiler.rules.convolution import unconditional, window_of
from hwloop.exporter.compiler.rules.cores import cores_for, share
from hwloop.exporter.compiler.rules.epilogue import Epilogue, Unmatched
from hwloop.exporter.compiler.rules.microkernel import (
    Tile,
    allocating,
    cleared,
    kernel_body,
    loop,
    loop_between,
    sequence,
    sum_buffers,
)
from hwloop.exporter.compiler.rules.stages import Stage, read_stages, rewrite
from hwloop.exporter.compiler.rules.tile_store import TileStore
from hwloop.exporter.compiler.rules.tilings import Options
from hwloop.exporter.compiler.windowing import WINDOW, Valid

LONGEST_UNROLLED = 8  # places across; a wider window has a loop, and then one pixel a tile


class Channelwise:
    """Depthwise convolutions and pooling that `passes/convolutions.py` marked."""

    name = "channelwise"

    def apply(self, kernel: Any, machine: Machine) -> Any | None:
        """Return the kernel on vectors of channels; None if it is none of these, or what follows does not fit."""
        stages = read_stages(kernel) or []
        marked = [stage for stage in stages if WINDOW in stage.annotations and PANEL not in stage.annotations]
        if len(marked) != 1 or not isinstance(marked[0].value, tirx.Add | tirx.Max):
            return None  # where no place lies in the image, TVM leaves nothing to add
        lanes = machine.float_lanes
        while lanes > marked[0].extents[3]:
            lanes //= 2
        try:
            epilogue = Epilogue(stages, marked[0], lanes)
        except Unmatched:
            return None
        return kernel.with_body(_Writer(marked[0], epilogue, lanes, machine).body()).with_attr(
            "tirx.is_scheduled", True
        )

    def options(self, kernel: Any, machine: Machine) -> Options:
        """Return no options: there is one way."""
        del kernel, machine
        return Options()


class _Writer:
    """Writes the kernel of one window."""

    def __init__(self, stage: Stage, epilogue: Epilogue, lanes: int, machine: Machine) -> None:
        self._stage = stage
        self._epilogue = epilogue
        self._lanes = lanes
        self._machine = machine
        self._window = window_of(stage)

    def body(self) -> Any:
        """Return the kernel's body: every core's share of the rows."""
        stage, window = self._stage, self._window
        batch, height, width, channels = stage.extents
        unrolled = window.width <= LONGEST_UNROLLED
        tile = Tile(self._pixels(width) if unrolled else 1, 1)
        sums = sum_buffers(tile, self._lanes)
        store = TileStore(self._epilogue, stage.buffer, tile, self._lanes, self._lanes)
        vectors = -(-channels // self._lanes)
        cores = cores_for(prod(stage.extents) * prod(stage.depths), self._machine)
        by_row = height >= cores

        def row(place: tuple[Any, Any], first: Any, past: Any) -> Any:
            def tiles(start: int, count: int, valid: Valid) -> Any:
                def one(turn: Any) -> Any:
                    pixel = start + turn * tile.rows

                    def vector(at: Any) -> Any:
                        channel = at * self._lanes
                        if channels % self._lanes:
                            channel = tirx.min(channel, channels - self._lanes)
                        summed = self._tile(tile, sums, (*place, pixel, channel), valid, unrolled)
                        spots = store.store(sums, lambda below, right: [*place, pixel + below, channel + right])
                        return sequence([*summed, *spots])

                    return loop_between(first, past, vector, "vector")

                return loop(count, one, "tile")

            return sequence([tiles(*group) for group in window.tiles(width, tile.rows)])

        def part(core: Any) -> Any:
            first_row, past_row = share(height, core, cores) if by_row else (0, height)
            first, past = (0, vectors) if by_row else share(vectors, core, cores)

            def rows(image: Any) -> Any:
                return loop_between(first_row, past_row, lambda number: row((image, number), first, past), "row")

            statement = loop(batch, rows, "image")
            return allocating([*sums, *store.buffers, *self._epilogue.buffers()], statement)

        return kernel_body(loop(cores, part, "core", tirx.ForKind.PARALLEL))

    def _pixels(self, width: int) -> int:
        """Return how many pixels a tile has: their sums, and as many of the image's vectors, stay in registers."""
        most = min(width, self._machine.vector_registers // 2 - 2)
        return min(range(1, most + 1), key=lambda pixels: (-(-width // pixels) * pixels, -pixels))

    def _tile(self, tile: Tile, sums: list[Any], place: tuple[Any, ...], valid: Valid, unrolled: bool) -> list[Any]:
        """Return the statements that reduce a tile whose first element is at `place`."""
        window, stage, lanes = self._window, self._stage, self._lanes
        first, past = window.places_down(place[1], stage.extents[1])
        largest = isinstance(stage.value, tirx.Max)
        combined = _combination(stage)

        def add(pixel: int, down: Any, across: Any) -> Any:
            lane = tirx.Var("lane", "int64")
            batch, row, column, channel = place
            known = dict(zip(stage.axes, (batch, row, column + pixel, channel + lane), strict=True))
            known |= dict(zip(stage.reduced, (down, across), strict=True))
            value = tirx.BufferStore(sums[pixel], combined(sums[pixel][lane], known), [lane])
            whole = tirx.const(lanes, "int64")
            return tirx.For(lane, tirx.const(0, "int64"), whole, tirx.ForKind.VECTORIZED, value)

        def line(down: Any) -> Any:
            if not unrolled:
                return loop(window.width, lambda across: add(0, down, across), "across")
            return sequence([add(pixel, down, across) for across, pixels in enumerate(valid) for pixel in pixels])

        empty = float(tirx.min_value(str(stage.buffer.dtype)).value) if largest else 0.0
        return [*cleared(tile, lanes, sums, empty), loop_between(first, past, line, "down")]


def _combination(stage: Stage) -> Callable[[Any, dict[Any, Any]], Any]:
    """Return what makes a new sum, or maximum, of the old one for given axes."""
    value = unconditional(stage.value.b)
    make = tirx.max if isinstance(stage.value, tirx.Max) else lambda total, one: total + one
    return lambda total, axes: make(total, rewrite(value, axes))
