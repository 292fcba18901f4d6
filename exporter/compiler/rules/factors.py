"""How the two sides of a product reach the registers, and are multiplied there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import Segment
from hwloop.exporter.compiler.rules.microkernel import multiply_add, spread, vector_at
from hwloop.exporter.compiler.rules.product import Product
from hwloop.exporter.compiler.rules.right_panel import CopiedPanels, PackedPanels

LeftRun = Callable[[int, Any], Any]


class Panel(Protocol):
    """The right side, a panel of one width at a time."""

    buffers: list[Any]

    def prepare(self, batch: Any, column: Any) -> list[Any]:
        """Return the statements that make the panel from `column` on ready."""

    def vector(self, batch: Any, panel: Any, number: int, step: Any) -> Any:
        """Return a vector of a panel's row."""


class Factors(Protocol):
    """Both sides of a product; a step multiplies what one instruction takes of the reduction."""

    dtype: str  # of the sums
    steps: int
    buffers: list[Any]  # that all cores share

    def before(self, first: Any, past: Any) -> list[Any]:
        """Return the statements to run before any tile, for the left side's rows `first` .. `past - 1`."""

    def left(self, batch: Any, row: Any, step: Any) -> Any:
        """Return a vector with the left side's number, or group of numbers, in every lane."""

    def left_run(self, batch: Any, row: Any) -> LeftRun | None:
        """Return what gives the left side at consecutive steps as one vector, where that is of use."""

    def panels(self, segment: Segment) -> Panel:
        """Return the right side's panels of one width."""

    def combine(self, total: Any, left: Any, right: Any) -> Any:
        """Return the sums after a step."""


class FloatFactors:
    """Two sides of 32-bit floats, the left one read where it lies."""

    dtype = "float32"

    def __init__(self, product: Product, machine: Machine) -> None:
        self._product = product
        self._lanes = machine.float_lanes
        self._runs = machine.multiplies_by_lane and product.left_in_rows
        self.steps = product.depth
        self.buffers: list[Any] = []

    def before(self, first: Any, past: Any) -> list[Any]:
        """Return no statements."""
        del first, past
        return []

    def left(self, batch: Any, row: Any, step: Any) -> Any:
        """Return a vector with the left side's number in every lane."""
        return spread(self._product.left.source[tuple(self._product.left_indices(batch, row, step))], self._lanes)

    def left_run(self, batch: Any, row: Any) -> LeftRun | None:
        """Return what gives a row's numbers at consecutive steps, where they lie side by side and it is of use."""
        product = self._product
        if not self._runs:
            return None
        left = product.left.source
        return lambda below, step: vector_at(left, product.left_indices(batch, row + below, step), self._lanes)

    def panels(self, segment: Segment) -> Panel:
        """Return panels that lie ready, or are copied."""
        return (PackedPanels if self._product.panel else CopiedPanels)(self._product, segment, self._lanes)

    def combine(self, total: Any, left: Any, right: Any) -> Any:
        """Return total + left * right."""
        return multiply_add(total, left, right)
