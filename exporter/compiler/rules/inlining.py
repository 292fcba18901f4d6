"""Stages put into one another: the number at a place as one expression of what the kernel is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from hwloop.exporter.compiler.rules.epilogue import Unmatched
from hwloop.exporter.compiler.rules.stages import Stage, loads_of, rewrite

LARGEST = 400  # loads in one expression; a chain of stages that each read the one before twice doubles at every step


class Inliner:
    """Expressions of a kernel's stages; those of the `kept` tensors stay loads."""

    def __init__(self, stages: Sequence[Stage], kept: Collection[Any]) -> None:
        self._stages = {stage.buffer: stage for stage in stages if stage.buffer not in kept and not stage.reduced}
        self._sizes: dict[Any, int] = {}

    def value(self, stage: Stage, place: Sequence[Any], steps: Sequence[Any] = ()) -> Any:
        """Return a stage's number at a place, or what a reduction takes in there at `steps`.

        Raises:
            Unmatched: the expression grows too large to be of use.
        """
        if self._size(stage) > LARGEST:
            raise Unmatched(stage.buffer.name)
        return self._value(stage, place, steps)

    def _value(self, stage: Stage, place: Sequence[Any], steps: Sequence[Any]) -> Any:
        loads = {
            buffer: (lambda indices, made=made: self._value(made, indices, ()))
            for buffer, made in self._stages.items()
            if not buffer.same_as(stage.buffer)
        }
        variables = zip((*stage.axes, *stage.reduced), (*place, *steps), strict=True)
        return rewrite(stage.value, dict(variables), loads)

    def _size(self, stage: Stage) -> int:
        """Return how many loads the expression of a stage has."""
        if stage.buffer not in self._sizes:
            sizes = [self._of(load) for load in loads_of(stage.value)]
            self._sizes[stage.buffer] = max(1, sum(sizes))
        return self._sizes[stage.buffer]

    def _of(self, load: Any) -> int:
        made = self._stages.get(load.source)
        return self._size(made) if made else 1
