"""A kernel's work shared among cores."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from hwloop.exporter.compiler.machine import Machine

PARALLEL_FROM = 500_000  # multiply-adds; below, starting the other threads costs more than they save


def cores_for(work: int, machine: Machine) -> int:
    """Return how many cores a kernel of `work` multiply-adds is worth."""
    return machine.cores if work >= PARALLEL_FROM else 1


def share(tasks: int, core: Any, cores: int) -> tuple[Any, Any]:
    """Return the first and past the last of one core's tasks."""
    if cores == 1:
        return 0, tasks
    return tirx.floordiv(core * tasks, cores), tirx.floordiv((core + 1) * tasks, cores)


def fairness(tasks: int, cores: int) -> float:
    """Return which share of the cores' time is of use, if all wait for the one with most tasks."""
    return tasks / (-(-tasks // cores) * cores)
