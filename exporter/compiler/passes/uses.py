"""How often each variable of a function is read."""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import ir


def uses_of(function: Any) -> dict[Any, int]:
    """Return how often each variable is read."""
    counts: dict[Any, int] = {}

    def count(variable: Any) -> None:
        counts[variable] = counts.get(variable, 0) + 1

    for block in function.body.blocks:
        for binding in block.bindings:
            tvm_ffi.structural_walk(binding.value, (ir.Var, count))
    tvm_ffi.structural_walk(function.body.body, (ir.Var, count))
    return counts
