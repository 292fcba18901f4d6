"""How a supernet is trained: all that decides the outcome, so that a run can be repeated and resumed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from hwloop.errors import UsageError
from hwloop.search.checkpoints import RANDOM

WARM_UP = 0.05  # of all steps


@dataclass(frozen=True)
class Recipe:
    """Names, sizes and figures of a training run; `subnets` is how many are drawn a step, `batch` in examples.

    `weights` is what it starts from (random, pretrained, or a checkpoint's file), `sizes` those of the space's
    setting that were given.
    """

    space: str
    task: str
    steps: int = 1000
    batch: int = 64
    learning_rate: float = 3e-3
    sampling: str = "sandwich"
    subnets: int = 2
    seed: int = 0
    weights: str = RANDOM
    weight_decay: float = 0.01
    sizes: Mapping[str, int] = field(default_factory=dict)

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step: it rises evenly at first, then falls to zero as a cosine does."""
        warm = max(1, round(self.steps * WARM_UP))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm))) / 2

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**asdict(self), "sizes": dict(self.sizes)}

    def require_same(self, saved: Mapping[str, Any]) -> None:
        """See that a run with the recipe `saved` is this one.

        Raises:
            UsageError: something differs; it says what.
        """
        own = self.as_json()
        names = [one.name for one in fields(self) if own[one.name] != saved.get(one.name)]
        if names:
            told = ", ".join(f"{name} was {saved.get(name)} and is {own[name]} now" for name in names)
            raise UsageError(
                f"this run was started otherwise: {told}", remedy="Resume with the same options, or train anew."
            )
