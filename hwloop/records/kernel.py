"""A piece of a network that a runtime executes in one go."""

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

    `scheme` is a `Scheme`'s name, or that of the type which it computes in (`fp16`, `int8-weight`, `int64`). `shape`
    has the sizes that matter by name: products m, n, k and batch, convolutions as the product that they are, with
    window and stride too (docs/kernels.md). An element operation is one number that an elementwise step makes or a
    reducing one takes. `weight_bytes` are constants as they are stored, `read_bytes` and `written_bytes` activations.
    So many `nodes` of the graph were fused into it.
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
