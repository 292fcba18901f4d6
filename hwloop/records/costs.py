"""What a network costs wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwloop.records.kernel import Kernel


@dataclass(frozen=True)
class Costs:
    """What a network costs wherever it runs.

    `parameters` are trained numbers, `weight_bytes` all constants as they are stored, `file_bytes` the file with its
    external data. `peak_activation_bytes` is the most that is alive at once when the kernels run in the graph's order
    and a value lives from the kernel that makes it to the last one that reads it, nothing computed in place.
    """

    parameters: int
    weight_bytes: int
    file_bytes: int
    peak_activation_bytes: int
    kernels: tuple[Kernel, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all kernels."""
        return sum(kernel.macs for kernel in self.kernels)

    @property
    def element_operations(self) -> int:
        """Element operations of all kernels."""
        return sum(kernel.element_operations for kernel in self.kernels)

    @property
    def moved_bytes(self) -> int:
        """Bytes that all kernels read and write."""
        return sum(kernel.bytes for kernel in self.kernels)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "parameters": self.parameters,
            "weight_bytes": self.weight_bytes,
            "file_bytes": self.file_bytes,
            "macs": self.macs,
            "element_operations": self.element_operations,
            "peak_activation_bytes": self.peak_activation_bytes,
            "kernels": [kernel.as_json() for kernel in self.kernels],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Costs:
        """Return what `as_json` gave the JSON form of.

        Raises:
            KeyError, TypeError, ValueError: this is no such form.
        """
        sizes = ("parameters", "weight_bytes", "file_bytes", "peak_activation_bytes")
        kernels = tuple(Kernel.from_json(kernel) for kernel in found["kernels"])
        return cls(**{name: found[name] for name in sizes}, kernels=kernels)
