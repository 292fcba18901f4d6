"""One call of a function of torch's, as the functions that write it see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hwloop.exporter.tracing.graph import Graph

Emit = Callable[..., str | list[str]]


@dataclass(frozen=True)
class Call:
    """One call that is being written: where, and what it returned (without data)."""

    graph: Graph
    scope: str
    name: Callable[..., str]
    result: Any

    def op(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Write a node; inputs are values of torch, names of values already written, or numbers."""
        return self.graph.node(operator, [self._input(value) for value in inputs], self.scope, **attributes)

    def layer(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Write a node that has the name of the module around it."""
        names = [self._input(value) for value in inputs]
        return self.graph.node(operator, names, self.scope, name=self.scope, **attributes)

    def constant(self, value: Any, dtype: Any, label: str = "constant") -> str:
        """Return the name of a constant."""
        return self.name(np.asarray(value, dtype), label)

    def ints(self, *values: int) -> str:
        """Return the name of a constant vector of whole numbers: a shape, axes."""
        return self.constant(values, np.int64, "shape")

    def like(self, value: Any) -> Any:
        """Return a Python number as a constant of the result's type; anything else as it is."""
        if isinstance(value, bool | int | float):
            return self.constant(value, dtype_of(self.result))
        return value

    def _input(self, value: Any) -> str:
        return value if isinstance(value, str) else self.name(value)


def dtype_of(value: Tensor) -> Any:
    """Return numpy's type of a tensor that may have no data."""
    return torch.empty(0, dtype=value.dtype).numpy().dtype


def pair(value: Any) -> list[int]:
    """Return a size for each of two axes, given one for both or two."""
    return [value, value] if isinstance(value, int) else [int(one) for one in value]
