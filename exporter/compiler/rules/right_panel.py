"""The right side of a product, a panel at a time: packed at compile time, or copied before its tiles are computed."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from hwloop.exporter.compiler.packing import Segment
from hwloop.exporter.compiler.rules.microkernel import local_buffer, loop, sequence, vector_at
from hwloop.exporter.compiler.rules.product import Product
from hwloop.exporter.compiler.rules.transposition import transposed


class PackedPanels:
    """Panels that lie ready in a constant."""

    def __init__(self, product: Product, segment: Segment, lanes: int) -> None:
        self._product = product
        self._segment = segment
        self._lanes = lanes
        self.buffers: list[Any] = []

    def prepare(self, batch: Any, column: Any) -> list[Any]:
        """Return the statements that make the panel from `column` on ready: none."""
        del batch, column
        return []

    def vector(self, batch: Any, panel: Any, number: int, step: Any) -> Any:
        """Return a vector of a panel's row."""
        start = self._segment.offset + panel * (self._segment.width * self._product.depth)
        place = start + step * self._segment.width + number * self._lanes
        return vector_at(self._product.right.source, [*self._product.packed_batch(batch), place], self._lanes)


class CopiedPanels:
    """Panels of a tensor that lies as it happens to; each is copied, and if need be transposed, into a buffer."""

    def __init__(self, product: Product, segment: Segment, lanes: int) -> None:
        self._product = product
        self._segment = segment
        self._lanes = lanes
        self._panel = local_buffer((product.depth, segment.width), "panel")
        self.buffers = [self._panel]

    def prepare(self, batch: Any, column: Any) -> list[Any]:
        """Return the statements that copy the panel from `column` on."""
        product, lanes, width = self._product, self._lanes, self._segment.width
        if product.columns < width:
            return [self._by_number(batch, column, 0)]
        if product.right_in_rows:
            return [loop(product.depth, lambda step: self._row(batch, column, step), "step")]
        squares = product.depth // lanes if lanes > 1 and product.right_in_columns else 0
        copied = []
        if squares:
            copied.append(
                loop(
                    width // lanes,
                    lambda across: loop(
                        squares, lambda down: self._square(batch, column, across * lanes, down * lanes), "down"
                    ),
                    "across",
                )
            )
        if product.depth > squares * lanes:
            copied.append(self._by_number(batch, column, squares * lanes))
        return copied

    def vector(self, batch: Any, panel: Any, number: int, step: Any) -> Any:
        """Return a vector of a panel's row."""
        del batch, panel
        return vector_at(self._panel, [step, number * self._lanes], self._lanes)

    def _by_number(self, batch: Any, column: Any, first: int) -> Any:
        """Copy one number at a time, from a step of the reduction on; columns that are none become zero."""
        product, width = self._product, self._segment.width
        right = product.right.source

        def number(at: Any, step: Any) -> Any:
            value = right[tuple(product.right_indices(batch, column + at, step))]
            if product.columns < width:
                value = tirx.if_then_else(at < product.columns, value, tirx.const(0, str(right.dtype)))
            return self._panel.vstore([step, at], value)

        steps = product.depth - first
        return loop(width, lambda at: loop(steps, lambda step: number(at, step + first), "step"), "column")

    def _row(self, batch: Any, column: Any, step: Any) -> Any:
        copied = []
        for at in range(0, self._segment.width, self._lanes):
            place = self._product.right_indices(batch, column + at, step)
            vector = vector_at(self._product.right.source, place, self._lanes)
            copied.append(self._panel.vstore([step, at], vector))
        return sequence(copied)

    def _square(self, batch: Any, column: Any, across: Any, down: Any) -> Any:
        places = [self._product.right_indices(batch, column + across + number, down) for number in range(self._lanes)]
        statements, turned = transposed([vector_at(self._product.right.source, at, self._lanes) for at in places])
        stores = [self._panel.vstore([down + number, across], vector) for number, vector in enumerate(turned)]
        return sequence([*statements, *stores])
