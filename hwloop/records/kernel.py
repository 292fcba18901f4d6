"""A piece of a network that a runtime executes in one go, and what a whole network costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class KernelKind(StrEnum):
    """What a kernel mainly does; what was fused into it does not count."""

    MATMUL = "matmul"
    INTEGER_MATMUL = "integer matmul"
    CONV = "conv"
    DEPTHWISE_CONV = "depthwise conv"
    POOL = "pool"
    SOFTMAX = "softmax"
    NORM = "norm"
    ELEMENTWISE = "elementwise"
    COPY = "copy"
    GATHER = "gather"
    REDUCTION = "reduction"
    RECURRENT = "recurrent"
    OTHER = "other"


@dataclass(frozen=True)
class Kernel:
    """One fused kernel: what it computes, on what size, and what it moves.

    `scheme` is a `Scheme`'s name, or that of the type which it computes in (`fp16`, `int8-weight`, `int64`). `shape` has
    the sizes that matter by name: products m, n, k and batch, convolutions as the product that they are, with window
    and stride too (docs/kernels.md). An element operation is one number that an elementwise step makes or a reducing
    one takes. `weight_bytes` are constants as they are stored, `read_bytes` and `written_bytes` activations. `nodes`
    of the graph were fused into it.
    """

    kind: KernelKind
    scheme: str
    shape: Mapping[str, int]
    macs: int
    element_operations: int
    weight_bytes: int
    read_bytes: int
    written_bytes: int
    nodes: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", MappingProxyType(dict(self.shape)))

    def __hash__(self) -> int:
        return hash((self.kind, self.scheme, tuple(sorted(self.shape.items())), self.macs, self.bytes))

    def __reduce__(self) -> tuple[Any, ...]:
        return Kernel.from_json, (self.as_json(),)  # a read-only view cannot be pickled

    @property
    def bytes(self) -> int:
        """Everything that is moved."""
        return self.weight_bytes + self.read_bytes + self.written_bytes

    @property
    def operations(self) -> int:
        """MACs and element operations."""
        return self.macs + self.element_operations

    @property
    def intensity(self) -> float:
        """Operations for each byte moved."""
        return self.operations / max(1, self.bytes)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "kind": self.kind.value,
            "scheme": self.scheme,
            "shape": dict(self.shape),
            "macs": self.macs,
            "element_operations": self.element_operations,
            "weight_bytes": self.weight_bytes,
            "read_bytes": self.read_bytes,
            "written_bytes": self.written_bytes,
            "nodes": self.nodes,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Kernel:
        """Return what `as_json` gave the JSON form of.

        Raises:
            KeyError, TypeError, ValueError: this is no kernel's form.
        """
        return cls(**{**found, "kind": KernelKind(found["kind"])})


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
