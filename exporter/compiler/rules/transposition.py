"""A square of numbers transposed in registers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx


def transposed(rows: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return the statements that transpose as many vectors as each has numbers (a power of two), and the columns.

    J. O. Eklundh, "A fast computer method for matrix transposing" (1972): squares of half the size change places,
    then squares of a quarter in each, down to single numbers.
    """
    size = len(rows)
    statements: list[Any] = []

    def named(value: Any) -> Any:
        variable = tirx.Var("turned", rows[0].ty)
        statements.append(tirx.Bind(variable, value))
        return variable

    vectors = [named(row) for row in rows]
    half = size // 2
    while half:
        for upper in (number for number in range(size) if not number & half):
            pair = [vectors[upper], vectors[upper + half]]
            first = [lane if not lane & half else size + lane - half for lane in range(size)]
            second = [lane + half if not lane & half else size + lane for lane in range(size)]
            vectors[upper], vectors[upper + half] = (named(tirx.Shuffle(pair, order)) for order in (first, second))
        half //= 2
    return statements, vectors
