"""Windows that slide over an image: their geometry, and which of their places lie inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

# Annotations of a block that slides a window: its geometry, and whether it sums over channels in the innermost loop.
WINDOW = "hwloop.window"
CHANNELS_INSIDE = "hwloop.channels_inside"

Valid = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Window:
    """A kernel of `height` x `width` places over an image of `rows` x `columns`; `top` and `left` are padding."""

    rows: int
    columns: int
    height: int
    width: int
    stride_down: int
    stride_across: int
    top: int
    left: int
    dilation_down: int = 1
    dilation_across: int = 1

    def as_list(self) -> list[int]:
        """Return what an annotation holds."""
        return list(astuple(self))

    def row(self, out: Any, place: Any) -> Any:
        """Return the image's row, perhaps outside, at a place of the window of an output row."""
        return out * self.stride_down + place * self.dilation_down - self.top

    def column(self, out: Any, place: Any) -> Any:
        """Return the image's column, perhaps outside, at a place of the window of an output column."""
        return out * self.stride_across + place * self.dilation_across - self.left

    def inside(self, out_row: Any, out_column: Any, place_down: Any, place_across: Any, result: Sequence[int]) -> Any:
        """Return the condition that a place lies in the image; None if all do, for a result of [rows, columns]."""
        from tvm import tirx

        row, column = self.row(out_row, place_down), self.column(out_column, place_across)
        checks = [row >= 0] if self.top else []
        checks += [row < self.rows] if self.row(result[0] - 1, self.height - 1) >= self.rows else []
        checks += [column >= 0] if self.left else []
        checks += [column < self.columns] if self.column(result[1] - 1, self.width - 1) >= self.columns else []
        return tirx.all(*checks) if checks else None

    def places_down(self, out: Any, count: int) -> tuple[Any, Any]:
        """Return the first and past the last place of the window inside the image, for one of `count` output rows."""
        from tvm import tirx

        first: Any = 0
        past: Any = self.height
        step = self.dilation_down
        if self.top:
            first = tirx.max(tirx.floordiv(self.top - out * self.stride_down + step - 1, step), 0)
        if self.row(count - 1, self.height - 1) >= self.rows:
            reach = tirx.floordiv(self.rows + self.top - out * self.stride_down + step - 1, step)
            past = tirx.min(reach, self.height)
        return first, past

    def valid_across(self, start: int, count: int) -> Valid:
        """Return for each place across which of `count` output columns from `start` on read inside the image there."""
        return tuple(
            tuple(at for at in range(count) if 0 <= self.column(start + at, place) < self.columns)
            for place in range(self.width)
        )

    def tiles(self, count: int, width: int) -> list[tuple[int, int, Valid]]:
        """Return how `count` output columns are cut into tiles of `width`: (start, how many alike follow, valid).

        The last one overlaps its neighbour where `width` does not divide `count`.
        """
        starts = [min(start, count - width) for start in range(0, count, width)]
        groups: list[tuple[int, int, Valid]] = []
        for start in starts:
            valid = self.valid_across(start, width)
            first, alike, known = groups[-1] if groups else (0, 0, None)
            if known == valid and start == first + alike * width:
                groups[-1] = (first, alike + 1, valid)
            else:
                groups.append((start, 1, valid))
        return groups
