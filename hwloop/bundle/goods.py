"""What a bundle is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.records import Artifact, Candidate, Measurement, Target

if TYPE_CHECKING:
    from hwloop.exporter.inputs import Inputs


@dataclass(frozen=True)
class Accuracy:
    """How good the model is: a task's metric of the artifact's outputs, or of the model that it was built from."""

    task: str
    metric: str
    value: float

    def as_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"task": self.task, "metric": self.metric, "value": self.value}


@dataclass(frozen=True)
class Known:
    """What is known of a model beside its files; it is written into the manifest. `scheme` by layer's name."""

    candidate: Candidate | None = None
    quantization: Mapping[str, str] | None = None
    accuracy: Accuracy | None = None
    measurement: Measurement | None = None


@dataclass(frozen=True)
class Goods:
    """A built model, its inputs with their right outputs, the machine that it is for, and the runtime's wheels.

    `python` is the version that the wheels are for; None where any from 3.8 does.
    """

    name: str
    artifact: Artifact
    inputs: Inputs
    target: Target
    wheels: Sequence[Path]
    python: tuple[int, int] | None = None
    known: Known = field(default_factory=Known)
