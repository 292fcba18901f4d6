"""A kernel without reductions as a short list of expressions of its result's axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hwloop.exporter.compiler.rules.epilogue import Unmatched
from hwloop.exporter.compiler.rules.inlining import Inliner
from hwloop.exporter.compiler.rules.sharing import CYCLES_OF_A_CALL, cycles_of
from hwloop.exporter.compiler.rules.stages import Stage, always_equal, flat, loads_of


@dataclass(frozen=True)
class Chain:
    """What is computed for each number of the result, in order; the last is the result itself.

    The others are read at the very place that they were computed for. They are needed more than once, or by what may
    name its operand often: code for tanh(exp(x)) that has the exp wherever tanh has its operand never ends.
    """

    axes: tuple[Any, ...]
    extents: tuple[int, ...]
    steps: tuple[tuple[Any, Any], ...]

    @property
    def result(self) -> Any:
        """Return the buffer of the result."""
        return self.steps[-1][0]


def chain_of(stages: Sequence[Stage], parameters: Sequence[Any]) -> Chain:
    """Return a kernel's chain.

    Raises:
        Unmatched: a stage reduces, there is not one result, or the expressions are too large.
    """
    if not stages or any(stage.reduced for stage in stages):
        raise Unmatched("reduces")
    result = stages[-1]
    if [stage.buffer for stage in stages if stage.buffer in set(parameters)] != [result.buffer]:
        raise Unmatched("results")
    kept = _worth_keeping(stages)
    inliner = Inliner(stages, {stage.buffer for stage in kept})
    steps = [(stage.buffer, inliner.value(stage, _place(stage, result))) for stage in (*kept, result)]
    return Chain(result.axes, result.extents, tuple(steps))


def _worth_keeping(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages worth keeping, all of whose readers want them at the place of the result's number."""
    aligned = [stages[-1]]
    again: list[Stage] = []
    for stage in reversed(stages[:-1]):
        reads = [
            (other, load) for other in stages for load in loads_of(other.value) if load.source.same_as(stage.buffer)
        ]
        if reads and all(
            any(other is known for known in aligned) and _same_place(stage, other, load) for other, load in reads
        ):
            aligned.append(stage)
            if len(reads) > 1 or cycles_of(stage.value) > CYCLES_OF_A_CALL:
                again.insert(0, stage)
    return again


def _same_place(stage: Stage, reader: Stage, load: Any) -> bool:
    if _wide(stage.extents) != _wide(reader.extents):
        return False
    return always_equal(
        flat(load.indices, stage.extents), flat(reader.axes, reader.extents), reader.axes, reader.extents
    )


def _place(stage: Stage, result: Stage) -> list[Any]:
    """Return a stage's place for the result's axes; they differ in axes of size one at most."""
    wide = iter(axis for axis, size in zip(result.axes, result.extents, strict=True) if size > 1)
    return [next(wide) if size > 1 else 0 for size in stage.extents] if stage is not result else list(result.axes)


def _wide(extents: Sequence[int]) -> list[int]:
    return [size for size in extents if size > 1]
