"""How the right side of a product is packed: panels of columns, `[columns / width][depth][width]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# Annotations of a product's block: how many of its axes are a batch, how wide its packed panels are (0: not packed).
PRODUCT = "hwloop.product"
PANEL = "hwloop.panel"
DOT = "hwloop.dot"  # and of an integer product: the instruction that multiplies


@dataclass(frozen=True)
class Segment:
    """`count` panels of `width` columns side by side from column `first` on; the first is packed at `offset`."""

    first: int
    count: int
    width: int
    offset: int


@dataclass(frozen=True)
class Panels:
    """Columns cut into panels of `width`, and a narrower last one of whole vectors for what is left over.

    A last panel that is wider than what is left over begins earlier, so that it overlaps its neighbour and needs no
    mask; where it cannot, because there are fewer columns than a vector has numbers, it is padded with zeros.
    """

    columns: int
    depth: int
    width: int
    lanes: int

    def segments(self) -> list[Segment]:
        """Return the panels, equal ones together; `width` is at most `columns`, or one vector."""
        count, rest = divmod(self.columns, self.width)
        segments = [Segment(0, count, self.width, 0)] if count else []
        if rest:
            narrow = -(-rest // self.lanes) * self.lanes
            segments.append(Segment(max(self.columns - narrow, 0), 1, narrow, count * self.width * self.depth))
        return segments

    @property
    def size(self) -> int:
        """Return how many numbers the packed form has."""
        return sum(segment.count * segment.width for segment in self.segments()) * self.depth

    def pack(self, matrix: Any) -> Any:
        """Return a matrix of `[..., depth, columns]` as `[..., size]`."""
        batch = matrix.shape[:-2]
        parts = []
        for segment in self.segments():
            span = segment.count * segment.width
            part = matrix[..., segment.first : segment.first + span]
            part = np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, span - part.shape[-1])])
            panels = part.reshape(*batch, self.depth, segment.count, segment.width)
            parts.append(np.moveaxis(panels, -2, -3).reshape(*batch, -1))
        return np.ascontiguousarray(np.concatenate(parts, axis=-1))

    def index(self, step: Any, column: Any) -> Any:
        """Return where a number of the matrix is in its packed form, for expressions of its row and its column."""
        from tvm import tirx

        places = [
            segment.offset
            + (column - segment.first) // segment.width * (self.depth * segment.width)
            + step * segment.width
            + (column - segment.first) % segment.width
            for segment in self.segments()
        ]
        if len(places) == 1:
            return places[0]
        whole = self.segments()[0]
        return tirx.if_then_else(column < whole.count * whole.width, places[0], places[1])


def repacked(values: Any, old: Panels, new: Panels) -> Any:
    """Return an array of packed matrices `[..., size]` in panels of another width; equal panels give it as it is.

    Where the panels are of groups of numbers, as for products of bytes, `values` has so many times `size`.
    """
    if old == new:
        return values
    numbers = np.arange(1, old.depth * old.columns + 1).reshape(old.depth, old.columns)  # 0 is padding
    before, after = old.pack(numbers), new.pack(numbers)
    places = np.zeros(numbers.size + 1, int)
    places[before] = np.arange(before.size)
    units = values.reshape(*values.shape[:-1], before.size, -1)[..., places[after], :]
    units[..., after == 0, :] = 0
    return units.reshape(*values.shape[:-1], -1)
