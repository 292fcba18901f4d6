"""Register tiles: a block of a product whose sums stay in vector registers, as TIR statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import s_tir, tirx

from hwloop.exporter.compiler.machine import Machine

LEAST_SUMS = 8  # sums under way that hide the latency of a multiply-add: four cycles, two a cycle


@dataclass(frozen=True)
class Tile:
    """The shape of a register tile: `rows` of `vectors` vectors each."""

    rows: int
    vectors: int

    @property
    def sums(self) -> int:
        """Return how many vectors are summed at once."""
        return self.rows * self.vectors


def tiles(machine: Machine) -> list[Tile]:
    """Return the tiles whose sums, one row of the right side and one number of the left fit in the registers."""
    most = machine.vector_registers
    return [
        Tile(rows, vectors)
        for vectors in range(1, most)
        for rows in range(1, most)
        if rows * vectors + vectors + 1 <= most
    ]


def cycles(tile: Tile) -> float:
    """Return about how long one step of the reduction takes: two multiply-adds or two loads a cycle."""
    return max(tile.sums, LEAST_SUMS, tile.rows + tile.vectors) / 2


def best_tile(rows: int, columns: int, depth: int, machine: Machine) -> Tile:
    """Return the tile that covers `rows` x `columns` sums of `depth` products in the fewest cycles.

    Rows that are left over are covered by a tile that overlaps its neighbour, so they cost a whole tile; columns
    that are left over take as many vectors as they need.
    """
    lanes = machine.float_lanes

    def cost(tile: Tile) -> float:
        width = tile.vectors * lanes
        if tile.rows > rows or (width > columns and tile.vectors > 1):
            return float("inf")
        across, rest = divmod(columns, width)
        down = -(-rows // tile.rows)
        total = across * (cycles(tile) * depth + tile.sums)
        if rest:
            narrow = Tile(tile.rows, -(-rest // lanes))
            total += cycles(narrow) * depth + narrow.sums
        return down * total

    return min(tiles(machine), key=lambda tile: (cost(tile), -tile.rows))


def best_rows(rows: int, vectors: int, machine: Machine) -> int:
    """Return how many rows a tile of `vectors` vectors has, so that `rows` rows take the fewest cycles."""
    fitting = [tile for tile in tiles(machine) if tile.vectors == vectors and tile.rows <= rows]
    return min(fitting, key=lambda tile: (-(-rows // tile.rows) * cycles(tile), -tile.rows)).rows


def loop(extent: int, body: Callable[[Any], Any], name: str = "i", kind: Any = tirx.ForKind.SERIAL) -> Any:
    """Return a loop over 0 .. extent - 1, or its only turn; `body` makes the statement from the counter."""
    if extent == 1:
        return body(tirx.const(0, "int64"))
    counter = tirx.Var(name, "int64")
    return tirx.For(counter, tirx.const(0, "int64"), tirx.const(extent, "int64"), kind, body(counter))


def loop_between(first: Any, past: Any, body: Callable[[Any], Any], name: str) -> Any:
    """Return a loop over first .. past - 1, which may be expressions; the counter counts from `first`."""
    if isinstance(first, int) and isinstance(past, int):
        return loop(past - first, lambda counter: body(counter + first), name)
    counter = tirx.Var(name, "int64")
    return tirx.For(counter, first, past - first, tirx.ForKind.SERIAL, body(counter))


def sequence(statements: Sequence[Any]) -> Any:
    """Return statements one after the other as one."""
    return statements[0] if len(statements) == 1 else tirx.SeqStmt(list(statements))


def local_buffer(shape: Sequence[int], name: str, dtype: str = "float32") -> Any:
    """Return a dense buffer of a kernel's own, for `allocating`.

    One below 1 KiB lies on the stack, and in registers if every place in it is a constant; a larger one comes from
    the runtime's workspace, once a kernel.
    """
    return tirx.decl_buffer(tuple(shape), dtype, name, scope="global")


def sum_buffers(tile: Tile, lanes: int, dtype: str = "float32") -> list[Any]:
    """Return a tile's sums, for `register_tile`: one small buffer a row, so that each becomes registers."""
    return [local_buffer((tile.vectors * lanes,), f"sums{row}", dtype) for row in range(tile.rows)]


def vector_at(buffer: Any, indices: Sequence[Any], lanes: int) -> Any:
    """Return the `lanes` numbers of a buffer that lie in a row from `indices` on."""
    return buffer.vload(list(indices), kind(str(buffer.dtype), lanes))


def kind(dtype: str, lanes: int) -> str:
    """Return the name of a vector type, or of the number's for one lane."""
    return f"{dtype}x{lanes}" if lanes > 1 else dtype


def multiply_add(total: Any, left: Any, right: Any) -> Any:
    """Return total + left * right on vectors; code generation fuses the two where the CPU can."""
    return total + left * right


def register_tile(
    tile: Tile,
    lanes: int,
    sums: Sequence[Any],
    depths: Sequence[int],
    left: Callable[..., Any],
    right: Callable[..., Any],
    combine: Callable[[Any, Any, Any], Any] = multiply_add,
) -> Any:
    """Return the statement that sums a tile over all steps of a reduction, from zero.

    `sums` comes from `sum_buffers` with `lanes` numbers a vector. `left(row, *steps)` gives a row's vector and
    `right(vector, *steps)` a column's, for the counters of the loops over `depths`; a vector of equal numbers is
    a `spread`. `combine(sum, left, right)` gives the new sum.
    """
    clear = [
        row.vstore([vector * lanes], tirx.const(0, kind(str(row.dtype), lanes)))
        for row in sums
        for vector in range(tile.vectors)
    ]
    steps = [tirx.Var(f"k{number}", "int64") for number in range(len(depths))]
    body: list[Any] = []

    def named(value: Any, name: str) -> Any:
        variable = tirx.Var(name, value.ty)
        body.append(tirx.Bind(variable, value))
        return variable

    rights = [named(right(vector, *steps), f"right{vector}") for vector in range(tile.vectors)]
    for number, row in enumerate(sums):
        value = named(left(number, *steps), f"left{number}")
        for vector, other in enumerate(rights):
            total = vector_at(row, [vector * lanes], lanes)
            body.append(row.vstore([vector * lanes], combine(total, value, other)))
    inner = sequence(body)
    for step, depth in zip(reversed(steps), reversed(depths), strict=True):
        inner = tirx.For(step, tirx.const(0, "int64"), tirx.const(depth, "int64"), tirx.ForKind.SERIAL, inner)
    return sequence([*clear, inner])


def spread(number: Any, lanes: int) -> Any:
    """Return a vector of `lanes` equal numbers."""
    return tirx.Broadcast(number, lanes) if lanes > 1 else number


def allocating(buffers: Sequence[Any], statement: Any) -> Any:
    """Return a statement that has some local buffers; inside a parallel loop each turn has its own."""
    return sequence([*(tirx.AllocBuffer(buffer) for buffer in buffers), statement])


def kernel_body(statement: Any) -> Any:
    """Return a PrimFunc's body that runs a statement without loops for a schedule to find."""
    return s_tir.SBlockRealize([], True, s_tir.SBlock([], [], [], "root", statement))
