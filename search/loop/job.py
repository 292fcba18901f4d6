"""What is asked of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from hwloop.devices.fleet import Device
from hwloop.digests import digest_file
from hwloop.errors import UsageError
from hwloop.exporter.runtimes.base import Runtime
from hwloop.records import Scheme, TimingProtocol
from hwloop.records.candidate import Value, scheme_named
from hwloop.search.checkpoints import PRETRAINED, RANDOM
from hwloop.search.genome import Genome
from hwloop.search.goals import ACCURACY, LATENCY, SIZE, Goal
from hwloop.search.quantizable import genome_of
from hwloop.search.spaces.registry import load_space

USUAL_SCHEMES = (Scheme.FP32, Scheme.INT8_DYNAMIC, Scheme.INT8_STATIC)


@dataclass(frozen=True)
class SearchJob:
    """A space, what is wanted of its candidates, where they are measured, and how many of them.

    `sizes` are some of batch, length, resolution and steps. Candidates are ranked by their accuracy on the first
    `examples` of the task's examples for evaluation (None: all of them). `schemes` may stand in a policy;
    `granularity` says whether each layer, each block or the whole model has one. `restricted` are choices with fewer
    values than the space has.
    """

    space: str
    goal: Goal
    devices: tuple[Device, ...]
    runtime: Runtime
    task: str | None
    budget: int
    batch: int = 2
    strategy: str = "guided"
    seed: int = 0
    protocol: TimingProtocol = field(default_factory=TimingProtocol)
    weights: str = RANDOM
    sizes: Mapping[str, int] = field(default_factory=dict)
    examples: int | None = None
    schemes: tuple[Scheme, ...] = USUAL_SCHEMES
    granularity: str = "block"
    restricted: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if ACCURACY in self.goal.keys and self.task is None:
            raise UsageError("accuracy is wanted, and no task is named", remedy="Name one with --task.")
        known = (ACCURACY, SIZE, *map(self.latency_key, self.devices))
        for key in self.goal.keys:
            if key not in known:
                raise UsageError(f"this search finds no {key}", remedy=f"It finds {', '.join(known)}.")
        for device in self.devices:
            device.require_runtime(self.runtime.name)

    @cached_property
    def genome(self) -> Genome:
        """What candidates are made of: the space's choices, and the schemes that the runtime has kernels for."""
        space = load_space(self.space)
        space = replace(space, choices=space.choices.restricted(self.restricted))
        found = genome_of(space, [self.runtime.name], self.granularity, self.schemes, sizes=self.sizes)
        return replace(found, space=self.space)

    def latency_key(self, device: Device) -> str:
        """Return the objective that a device's latency is."""
        return LATENCY if len(self.devices) == 1 else f"{LATENCY}@{device.name}"

    def request(self) -> dict[str, Any]:
        """Return what makes two searches the same, as JSON; the weights stand for themselves, not for a file's name.

        Raises:
            UsageError: the file of weights cannot be read.
        """
        return {
            "space": self.space,
            "task": self.task,
            "task_code": self.task_code(),
            "objectives": [objective.key for objective in self.goal.objectives],
            "constraints": [str(constraint) for constraint in self.goal.constraints],
            "devices": [device.name for device in self.devices],
            "runtime": self.runtime.name,
            "strategy": self.strategy,
            "budget": self.budget,
            "batch": self.batch,
            "seed": self.seed,
            "protocol": self.protocol.as_json(),
            "weights": self._weights(),
            "sizes": dict(self.sizes),
            "examples": self.examples,
            "schemes": [scheme.value for scheme in self.schemes],
            "granularity": self.granularity,
            "restricted": {name: list(values) for name, values in self.restricted.items()},
        }

    def task_code(self) -> str | None:
        """Return the digest of the file that a user's own task is in; None for those that come with hwloop."""
        file = Path((self.task or "").rpartition(":")[0])
        return digest_file(file) if file.is_file() else None

    def _weights(self) -> str:
        if self.weights in (RANDOM, PRETRAINED):
            return self.weights
        try:
            return digest_file(Path(self.weights))
        except OSError as error:
            raise UsageError(f"{self.weights}: {error.strerror}", remedy="Give a checkpoint of hwloop.") from error


def parse_schemes(words: str) -> tuple[Scheme, ...]:
    """Return the schemes that `fp32,int8-static` names.

    Raises:
        UsageError: there is no such scheme.
    """
    return tuple(scheme_named(word.strip(), "--schemes: ") for word in words.split(","))


def parse_choices(words: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Return which values choices are left, from words like `depth=2,3`.

    Raises:
        UsageError: a word has another form.
    """
    found: dict[str, tuple[Value, ...]] = {}
    for word in words:
        name, equals, values = word.partition("=")
        if not equals or not name or not values:
            raise UsageError(f"{word!r}: this cannot be read", remedy="Write CHOICE=VALUE,VALUE.")
        found[name] = tuple(yaml.safe_load(value) for value in values.split(","))
    return found
