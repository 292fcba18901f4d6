"""Sums, means, maxima, and what is built of them: softmax, layer norm, whatever reads its own row more than once."""

from __future__ import annotations

from math import prod
from typing import Any

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.rules.column_sweep import ColumnSweep
from hwloop.exporter.compiler.rules.epilogue import Unmatched
from hwloop.exporter.compiler.rules.microkernel import allocating, kernel_body
from hwloop.exporter.compiler.rules.reduction_plan import plan
from hwloop.exporter.compiler.rules.row_sweep import RowSweep
from hwloop.exporter.compiler.rules.sharing import cores_for, shared
from hwloop.exporter.compiler.rules.stages import read_stages
from hwloop.exporter.compiler.rules.tilings import Options


class Reduction:
    """Kernels whose reductions are all over the same numbers, with anything elementwise before, between and after."""

    name = "reduction"

    def apply(self, kernel: Any, machine: Machine) -> Any | None:
        """Return the kernel as sweeps over its rows or columns; None if it does not reduce, or not in one way."""
        stages = read_stages(kernel)
        if not stages:
            return None
        try:
            found = plan(stages, kernel.params)
        except Unmatched:
            return None
        writer = ColumnSweep(found, machine) if found.inner else RowSweep(found, machine)
        made = [made.value for sweep in found.sweeps for made in (*sweep.numbers, *sweep.sums)]
        numbers = prod((*found.outer, *found.reduced, *found.inner))
        cores = max(cores_for(numbers, value, machine) for value in made)
        body = shared(writer.tasks, cores, writer.task, lambda tasks: allocating(writer.buffers(), tasks))
        return kernel.with_body(kernel_body(body)).with_attr("tirx.is_scheduled", True)

    def options(self, kernel: Any, machine: Machine) -> Options:
        """Return no options: there is one way."""
        del kernel, machine
        return Options()
