"""How much memory the activations need at once."""

from __future__ import annotations

from collections.abc import Sequence

from hwloop.exporter.kernels.describing import values_read, values_written
from hwloop.exporter.kernels.fusing import Group
from hwloop.exporter.kernels.uses import Uses


def peak_bytes(uses: Uses, groups: Sequence[Group]) -> int:
    """Return the most bytes that are alive while a kernel runs.

    A value lives from the kernel that makes it, an input from the start, to the last kernel that reads it, an output
    to the end. Nothing is computed in place.
    """
    last = {name: place for place, group in enumerate(groups) for name in values_read(uses, group)}
    alive = {name: uses.graph.tensor(name).bytes for name in uses.graph.inputs if name in last}
    peak = sum(alive.values())
    for place, group in enumerate(groups):
        alive.update({name: uses.graph.tensor(name).bytes for name in values_written(uses, group)})
        peak = max(peak, sum(alive.values()))
        for name in values_read(uses, group):
            if last[name] == place and name not in uses.results:
                alive.pop(name, None)
    return peak
