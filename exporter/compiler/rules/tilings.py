"""The other tiles that are worth trying for a kernel, where its rule's own choice may not be the fastest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import Panels
from hwloop.exporter.compiler.rules.microkernel import Tile, covering_cycles, tiles
from hwloop.exporter.schedules import Tiling

MOST = 8


@dataclass(frozen=True)
class Packed:
    """A kernel's parameter that holds a matrix in panels; others of equal size may stand there."""

    parameter: int
    panels: Panels

    def as_wide_as(self, vectors: int) -> Panels:
        """Return the panels for tiles of so many vectors."""
        panels = self.panels
        return Panels(panels.columns, panels.depth, vectors * panels.lanes, panels.lanes)


@dataclass(frozen=True)
class Options:
    """What else a rule can do with a kernel, and what is packed for it."""

    tilings: tuple[Tiling, ...] = ()
    packed: Packed | None = None


def place_of(buffer: Any, parameters: Sequence[Any]) -> int:
    """Return which of a kernel's parameters a tensor is."""
    return next(number for number, parameter in enumerate(parameters) if parameter.same_as(buffer))


def tilings_for(rows: int, columns: int, depth: int, own: Tile, cores: int, machine: Machine) -> tuple[Tiling, ...]:
    """Return the tilings of `rows` x `columns` sums of `depth` products that should be fastest, `own` left out.

    `cores` is how many the rule wakes; one alone may be faster, and is tried with the rule's own tile.
    """
    costs = {tile: covering_cycles(tile, rows, columns, depth, machine) for tile in tiles(machine)}
    fitting = [tile for tile in costs if costs[tile] < float("inf") and tile != own]
    best = sorted(fitting, key=lambda tile: (costs[tile], -tile.rows))[:MOST]
    alone = [Tiling(own.rows, own.vectors, 1)] if cores > 1 else []
    return tuple([*(Tiling(tile.rows, tile.vectors) for tile in best), *alone])
