"""What becomes of a register tile's sums: stored as they are, or after what follows in the kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import tirx

from hwloop.exporter.compiler.rules.epilogue import Epilogue
from hwloop.exporter.compiler.rules.microkernel import Tile, local_buffer, loop, sequence, vector_at


class TileStore:
    """Stores tiles of a shape whose columns lie side by side; `columns` of each are of use, the others padding."""

    def __init__(self, epilogue: Epilogue, target: Any, tile: Tile, lanes: int, columns: int) -> None:
        self._epilogue = epilogue
        self._target = target
        self._tile = tile
        self._lanes = lanes
        self._columns = min(columns, tile.vectors * lanes)
        self._straight = epilogue.empty and self._columns == tile.vectors * lanes
        self._block = local_buffer((tile.rows, tile.vectors * lanes), "block")
        self.buffers: list[Any] = [] if self._straight else [self._block]

    def store(self, sums: Sequence[Any], place: Callable[[Any, Any], Sequence[Any]]) -> list[Any]:
        """Return the statements that store sums; `place(row, column)` is where in the reduction's tensor one goes."""
        lanes, tile = self._lanes, self._tile
        spots = [(row, vector * lanes) for row in range(tile.rows) for vector in range(tile.vectors)]
        if self._straight:
            return [self._target.vstore(place(row, at), vector_at(sums[row], [at], lanes)) for row, at in spots]
        kept = [self._block.vstore([row, at], vector_at(sums[row], [at], lanes)) for row, at in spots]

        def element(row: Any, at: Any, lane: Any) -> Any:
            return self._epilogue.store(place(row, at), self._block[row, at], lane)

        def vector(row: Any, first: int) -> Any:
            return loop(lanes, lambda lane: element(row, first + lane, lane), "lane", tirx.ForKind.VECTORIZED)

        def finish(row: Any) -> Any:
            whole = [vector(row, first) for first in range(0, self._columns - lanes + 1, lanes)]
            rest = self._columns % lanes
            if rest:
                first = self._columns - rest
                whole.append(loop(rest, lambda at: element(row, first + at, 0), "column"))
            return sequence(whole)

        return [*kept, loop(tile.rows, finish, "row")]
