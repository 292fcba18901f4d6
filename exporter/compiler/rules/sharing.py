"""A kernel's work shared between the cores, where it is worth waking them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm_ffi
from tvm import ir, tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.rules.microkernel import loop, loop_between

PARALLEL_FROM = 60_000  # cycles; below, starting the other threads costs more than they save
CYCLES_OF_A_CALL = 16  # of exp and its like, on a vector


def cycles_of(value: Any) -> int:
    """Return about how many cycles an expression takes for a vector of numbers."""
    operations = [1]
    tvm_ffi.structural_walk(value, (ir.TensorLoad, lambda _: operations.append(1)))
    tvm_ffi.structural_walk(value, (ir.Call, lambda _: operations.append(CYCLES_OF_A_CALL)))
    return sum(operations)


def cores_for(numbers: int, value: Any, machine: Machine) -> int:
    """Return how many cores are worth waking for an expression at some `numbers` of places."""
    cycles = numbers // machine.float_lanes * cycles_of(value)
    return machine.cores if cycles >= PARALLEL_FROM else 1


def shared(tasks: int, cores: int, body: Callable[[Any], Any], around: Callable[[Any], Any]) -> Any:
    """Return a loop over tasks, one stretch of them for each core; `around` wraps what one core does."""

    def share(core: Any) -> Any:
        first: Any = 0
        past: Any = tasks
        if cores > 1:
            first, past = (tirx.floordiv((core + more) * tasks, cores) for more in (0, 1))
        return around(loop_between(first, past, body, "task"))

    cores = min(cores, tasks)
    return loop(cores, share, "core", tirx.ForKind.PARALLEL)
