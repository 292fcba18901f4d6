"""What a product is: which tensors it reads where, and how large it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import ir, tirx

from hwloop.exporter.compiler.packing import PANEL, PRODUCT
from hwloop.exporter.compiler.rules.stages import Stage, rewrite, simplified, stride, unflatten


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

    def left_indices(self, batch: Any, row: Any, step: Any) -> list[Any]:
        """Return where the left side's number is."""
        return [self.at(index, batch, row, 0, step) for index in self.left.indices]

    def right_indices(self, batch: Any, column: Any, step: Any) -> list[Any]:
        """Return where the right side's number is, where it is not packed."""
        return [self.at(index, batch, 0, column, step) for index in self.right.indices]

    def at(self, value: Any, batch: Any, row: Any, column: Any, step: Any) -> Any:
        """Return an expression of the stage's axes at one element and one step of the reduction."""
        axes = dict(zip(self.stage.axes, self.place(batch, row, column), strict=True))
        return rewrite(value, {**axes, self.stage.reduced[0]: step})

    def packed_batch(self, batch: Any) -> list[Any]:
        """Return which of the packed matrices a batch's is, as the indices before the place in it."""
        return [self.at(index, batch, 0, 0, 0) for index in self.right.indices[:-1]]

    @property
    def left_in_rows(self) -> bool:
        """Return whether numbers of consecutive steps lie side by side on the left."""
        return _side_by_side(self.left.indices, self.stage.reduced[0])

    @property
    def right_in_rows(self) -> bool:
        """Return whether numbers of neighbouring columns lie side by side on the right."""
        return _side_by_side(self.right.indices, self.stage.axes[-1])

    @property
    def right_in_columns(self) -> bool:
        """Return whether numbers of consecutive steps lie side by side on the right."""
        return _side_by_side(self.right.indices, self.stage.reduced[0])


def _side_by_side(indices: Sequence[Any], axis: Any) -> bool:
    *others, last = indices
    return stride(last, axis) == 1 and all(stride(other, axis) == 0 for other in others)


def product_of(stages: Sequence[Stage]) -> Product | None:
    """Return the product among a kernel's stages; None unless there is one, of two tensors from outside."""
    marked = [stage for stage in stages if PRODUCT in stage.annotations]
    made = {stage.buffer for stage in stages}
    if len(marked) != 1 or not isinstance(marked[0].value, tirx.Add) or not isinstance(marked[0].value.b, tirx.Mul):
        return None
    stage = marked[0]
    sides = (stage.value.b.a, stage.value.b.b)
    if not all(isinstance(side, ir.TensorLoad) and side.source not in made for side in sides):
        return None
    return product_from(stage, *sides)


def product_from(stage: Stage, left: Any, right: Any) -> Product:
    """Return the product that a marked stage computes, from the loads of its two sides."""
    axes, extents = (*stage.axes, *stage.reduced), (*stage.extents, *stage.depths)
    left, right = (_simpler(side, axes, extents) for side in (left, right))
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
