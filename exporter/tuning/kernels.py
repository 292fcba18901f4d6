"""A kernel as tuning sees it, and one way to make it as an artifact that a device can run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.exporter.compiler.packing import Panels, repacked
from hwloop.exporter.inputs import Inputs
from hwloop.exporter.numpy_types import numpy_type
from hwloop.exporter.schedules import Schedule, Tiling
from hwloop.records import Artifact, TensorSpec


@dataclass(frozen=True)
class Kernel:
    """A kernel of a model, called `calls` times a run; `rule` makes it ("": none does, and TVM's own loops are left).

    `packed` is the parameter that holds a matrix in panels, and those panels.
    """

    name: str
    digest: str
    rule: str
    calls: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    tilings: tuple[Tiling, ...]
    packed: tuple[int, Panels] | None

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Kernel:
        """Return what the workbench says of a kernel."""
        packed = found["packed"]
        return cls(
            found["name"],
            found["digest"],
            found["rule"],
            found["calls"],
            _specs("argument", found["inputs"]),
            _specs("result", found["outputs"]),
            tuple(Tiling(**tiling) for tiling in found["tilings"]),
            packed
            and (packed["parameter"], Panels(*(packed[name] for name in ("columns", "depth", "width", "lanes")))),
        )

    def arguments(self, schedule: Schedule | None, seed: int = 0) -> Inputs:
        """Return made-up arguments; a packed one lies as the schedule wants it, so that the results are the same."""
        draw = np.random.default_rng(seed)
        arrays = {spec.name: _drawn(spec, draw) for spec in self.inputs}
        if self.packed and isinstance(schedule, Tiling):
            number, panels = self.packed
            name = self.inputs[number].name
            wanted = Panels(panels.columns, panels.depth, schedule.vectors * panels.lanes, panels.lanes)
            arrays[name] = repacked(arrays[name], panels, wanted)
        return Inputs(arrays, {})


@dataclass(frozen=True)
class Candidate:
    """A kernel made in one way, built; without a schedule it is its rule's own code."""

    kernel: Kernel
    schedule: Schedule | None
    artifact: Artifact
    arguments: Inputs


def _specs(word: str, tensors: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(f"{word}{number}", tensor["dtype"], tuple(tensor["shape"])) for number, tensor in enumerate(tensors)
    )


def _drawn(spec: TensorSpec, draw: np.random.Generator) -> np.ndarray:
    """Return floats in (-1, 1), any bytes, and other integers that are 0 or 1, as they may be places; scalars are 1."""
    kind = numpy_type(spec.dtype)
    if not spec.shape:
        return np.ones((), kind)
    if kind.kind in "iub":
        low, high = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.itemsize == 1 and kind.kind != "b" else (0, 1)
        return draw.integers(low, high, spec.shape, np.int64, endpoint=True).astype(kind)
    return draw.uniform(-1, 1, spec.shape).astype(kind)
