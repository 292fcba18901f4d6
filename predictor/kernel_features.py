"""Features from the kernels of graphs, which the exporter finds and every measurement keeps."""

from __future__ import annotations

from collections.abc import Sequence

from hwloop.predictor.features import KernelTable
from hwloop.records import Kernel

COLUMNS = ("operations", "bytes", "weight_bytes", "element_operations")


def kernel_table(models: Sequence[Sequence[Kernel]]) -> KernelTable:
    """Return the kernels of models, one row a model. A kernel's kind includes the scheme that it computes in."""
    return KernelTable.of([[(_kind(kernel), _amounts(kernel)) for kernel in model] for model in models], COLUMNS)


def _kind(kernel: Kernel) -> str:
    return f"{kernel.kind.value} {kernel.scheme}"


def _amounts(kernel: Kernel) -> tuple[float, ...]:
    return kernel.operations, kernel.bytes, kernel.weight_bytes, kernel.element_operations
