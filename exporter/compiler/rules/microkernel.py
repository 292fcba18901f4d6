"""Register tiles: a block of a product whose sums stay in vector registers, as TIR statements."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tvm_ffi
from tvm import ir, s_tir, tirx

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


@functools.cache
def tiles(machine: Machine) -> tuple[Tile, ...]:
    """Return the tiles whose sums fit in the registers, with a row of the right side and what is needed of the left.

    That is one number, or where a lane of a vector can be multiplied by, a vector of every row.
    """
    most = machine.vector_registers
    shapes = [Tile(rows, vectors) for vectors in range(1, most) for rows in range(1, most)]
    return tuple(
        tile for tile in shapes if tile.sums + tile.vectors + (tile.rows if machine.multiplies_by_lane else 1) <= most
    )


def cycles(tile: Tile, machine: Machine) -> float:
    """Return about how long one step of the reduction takes.

    A CPU that multiplies by lanes is taken for one that issues an instruction at a time and loads two vectors with
    one; any other for one with two multiply-adds and two loads a cycle.
    """
    if machine.multiplies_by_lane:
        return max(tile.sums, LEAST_SUMS) + tile.rows / machine.float_lanes + -(-tile.vectors // 2) + 1
    return max(tile.sums, LEAST_SUMS, tile.rows + tile.vectors) / 2


def covering_cycles(tile: Tile, rows: int, columns: int, depth: int, machine: Machine) -> float:
    """Return about how long a tile takes to cover `rows` x `columns` sums of `depth` products; infinity if it cannot.

    Rows that are left over are covered by a tile that overlaps its neighbour, so they cost a whole tile; columns
    that are left over take as many vectors as they need.
    """
    width = tile.vectors * machine.float_lanes
    if tile.rows > rows or (width > columns and tile.vectors > 1):
        return float("inf")
    across, rest = divmod(columns, width)
    down = -(-rows // tile.rows)
    total = across * (cycles(tile, machine) * depth + tile.sums)
    if rest:
        narrow = Tile(tile.rows, -(-rest // machine.float_lanes))
        total += cycles(narrow, machine) * depth + narrow.sums
    return down * total


@functools.cache
def best_tile(rows: int, columns: int, depth: int, machine: Machine) -> Tile:
    """Return the tile that covers `rows` x `columns` sums in the fewest cycles, unless the machine says which."""
    if machine.tiling:
        return Tile(machine.tiling.rows, machine.tiling.vectors)
    return min(tiles(machine), key=lambda tile: (covering_cycles(tile, rows, columns, depth, machine), -tile.rows))


def best_rows(rows: int, vectors: int, machine: Machine) -> int:
    """Return how many rows a tile of `vectors` vectors has, so that `rows` rows take the fewest cycles."""
    if machine.tiling:
        return min(machine.tiling.rows, rows)
    fitting = [tile for tile in tiles(machine) if tile.vectors == vectors and tile.rows <= rows]
    return min(fitting, key=lambda tile: (-(-rows // tile.rows) * cycles(tile, machine), -tile.rows)).rows


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
    # It starts at 0: TVM shifts loops that do not, and forgets the bounds of the loops inside.
    return tirx.For(counter, _whole(0), past - first, tirx.ForKind.SERIAL, body(counter + first))


def sequence(statements: Sequence[Any]) -> Any:
    """Return statements one after the other as one; none at all is one that does nothing."""
    if not statements:
        return tirx.Evaluate(_whole(0))
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
    left_run: Callable[..., Any] | None = None,
) -> Any:
    """Return the statement that sums a tile over all steps of a reduction, from zero.

    `sums` comes from `sum_buffers` with `lanes` numbers a vector. `left(row, *steps)` gives a row's vector and
    `right(vector, *steps)` a column's, for the counters of the loops over `depths`; a vector of equal numbers is
    a `spread`. `combine(sum, left, right)` gives the new sum.

    `left_run(row, *steps)`, for CPUs that multiply by one lane of a vector, gives the left side's numbers at `lanes`
    steps of the innermost loop as one vector; `left` then serves the steps that are left over.
    """
    return sequence(
        [*cleared(tile, lanes, sums), accumulation(tile, lanes, sums, depths, left, right, combine, left_run)]
    )


def cleared(tile: Tile, lanes: int, sums: Sequence[Any], number: float = 0) -> list[Any]:
    """Return the statements that set a tile's sums to a number."""
    return [
        row.vstore([vector * lanes], tirx.const(number, kind(str(row.dtype), lanes)))
        for row in sums
        for vector in range(tile.vectors)
    ]


def accumulation(
    tile: Tile,
    lanes: int,
    sums: Sequence[Any],
    depths: Sequence[int],
    left: Callable[..., Any],
    right: Callable[..., Any],
    combine: Callable[[Any, Any, Any], Any] = multiply_add,
    left_run: Callable[..., Any] | None = None,
) -> Any:
    """Return the statement that adds all steps of a reduction to a tile's sums; arguments as of `register_tile`."""
    *outer, depth = depths
    around = [tirx.Var(f"k{number}", "int64") for number in range(len(outer))]

    def rights(step: Any) -> list[Any]:
        return [right(vector, *around, step) for vector in range(tile.vectors)]

    def one(step: Any) -> Any:
        return tile_step(lanes, sums, [left(row, *around, step) for row in range(tile.rows)], rights(step), combine)

    def run(group: Any) -> Any:
        names = [tirx.Var(f"run{row}", kind(str(sums[0].dtype), lanes)) for row in range(tile.rows)]
        statements = [tirx.Bind(name, run_at(row, *around, group * lanes)) for row, name in enumerate(names)]
        for lane in range(lanes):
            lefts = [spread(tirx.Shuffle([name], [lane]), lanes) for name in names]
            statements.append(tile_step(lanes, sums, lefts, rights(group * lanes + lane), combine))
        return sequence(statements)

    run_at = left_run or left
    runs = depth // lanes if left_run and lanes > 1 else 0
    inner = [_counted(0, runs, run)] if runs else []
    if depth > runs * lanes:
        inner.append(_counted(runs * lanes, depth, one))
    statement = sequence(inner)
    for step, size in zip(reversed(around), reversed(outer), strict=True):
        statement = tirx.For(step, _whole(0), _whole(size), tirx.ForKind.SERIAL, statement)
    return statement


def _whole(number: int) -> Any:
    return tirx.const(number, "int64")


def _counted(first: int, past: int, body: Callable[[Any], Any]) -> Any:
    counter = tirx.Var("k", "int64")
    return tirx.For(counter, _whole(first), _whole(past - first), tirx.ForKind.SERIAL, body(counter))


def tile_step(
    lanes: int,
    sums: Sequence[Any],
    lefts: Sequence[Any],
    rights: Sequence[Any],
    combine: Callable[[Any, Any, Any], Any],
) -> Any:
    """Return one step of a reduction: every row's number times every column's vector."""
    statements: list[Any] = []

    def named(value: Any, name: str) -> Any:
        variable = tirx.Var(name, value.ty)
        statements.append(tirx.Bind(variable, value))
        return variable

    columns = [named(value, f"right{number}") for number, value in enumerate(rights)]
    for number, (row, value) in enumerate(zip(sums, lefts, strict=True)):
        factor = named(value, f"left{number}")
        for vector, column in enumerate(columns):
            total = vector_at(row, [vector * lanes], lanes)
            statements.append(row.vstore([vector * lanes], combine(total, factor, column)))
    return sequence(statements)


def spread(number: Any, lanes: int) -> Any:
    """Return a vector of `lanes` equal numbers."""
    return tirx.Broadcast(number, lanes) if lanes > 1 else number


def allocating(buffers: Sequence[Any], statement: Any) -> Any:
    """Return a statement that has some local buffers; inside a parallel loop each turn has its own.

    Truth values are kept as bytes: TVM takes a local buffer of them for bytes without saying so to what reads it.
    """
    as_bytes = {buffer: local_buffer(buffer.shape, buffer.name, "int8") for buffer in buffers if buffer.dtype == "bool"}
    if as_bytes:
        statement = _keeping_bytes(statement, as_bytes)
    return sequence([*(tirx.AllocBuffer(as_bytes.get(buffer, buffer)) for buffer in buffers), statement])


def _keeping_bytes(statement: Any, as_bytes: Mapping[Any, Any]) -> Any:
    def store(found: Any, mutator: Any) -> Any:
        if found.buffer not in as_bytes:
            return mutator.default_mutate(found)
        value, indices = mutator.mutate(found.value), [mutator.mutate(index) for index in found.indices]
        return tirx.BufferStore(as_bytes[found.buffer], value.astype("int8"), indices)

    def load(found: Any, mutator: Any) -> Any:
        if found.source not in as_bytes:
            return mutator.default_mutate(found)
        return as_bytes[found.source][tuple(mutator.mutate(index) for index in found.indices)] != 0

    return tvm_ffi.structural_mutate(statement, [(tirx.BufferStore, store), (ir.TensorLoad, load)])


def kernel_body(statement: Any) -> Any:
    """Return a PrimFunc's body that runs a statement without loops for a schedule to find."""
    return s_tir.SBlockRealize([], True, s_tir.SBlock([], [], [], "root", statement))
