"""What a model's graph says about its latency: its kernels, and sums over them.

These features are the same for every space and any ONNX file.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log1p

import numpy as np

from hwloop.predictor.features import Features, KernelTable
from hwloop.records import Kernel, KernelKind

PLAIN = ("operations", "bytes", "element_operations", "weight_bytes", "read_bytes", "written_bytes")
AMOUNTS = (*PLAIN, "vector_macs")
VECTOR = 16  # lanes: of the widest vectors of 32-bit numbers in use (AVX-512); narrower ones divide it
PRODUCTS = frozenset(
    [
        KernelKind.MATMUL,
        KernelKind.INTEGER_MATMUL,
        KernelKind.CONV,
        KernelKind.DEPTHWISE_CONV,
        KernelKind.RECURRENT,
    ]
)
COLUMNS = (
    "log_macs",
    "log_element_operations",
    "log_weight_bytes",
    "log_activation_bytes",
    "log_largest_kernel_bytes",
    "log_widest_product",
    "kernels",
    "products",
)


def graph_features(models: Sequence[Sequence[Kernel]]) -> Features:
    """Return a row for each model, given by its kernels: sums as columns (logarithms are of 1 + x), and a table.

    Kinds in the table are a kernel's kind and scheme, such as `matmul/fp32`; `Features.with_totals` makes columns of
    them, a count and the sums of the amounts for each.
    """
    table = KernelTable.of([[(_kind(kernel), _amounts(kernel)) for kernel in model] for model in models], AMOUNTS)
    values = np.array([_sums(model) for model in models], float).reshape(len(models), len(COLUMNS))
    return Features(COLUMNS, values, table)


def _kind(kernel: Kernel) -> str:
    return f"{kernel.kind.value}/{kernel.scheme}"


def _amounts(kernel: Kernel) -> tuple[float, ...]:
    return (*(float(getattr(kernel, name)) for name in PLAIN), _vector_macs(kernel))


def _vector_macs(kernel: Kernel) -> float:
    """Return the MACs of a product whose last vector of outputs is computed whole, as kernels of fixed tiles do."""
    outputs = kernel.shape.get("n", 0)
    if kernel.kind is KernelKind.DEPTHWISE_CONV:
        outputs *= kernel.shape.get("groups", 1)
    if kernel.kind not in PRODUCTS or outputs == 0:
        return float(kernel.macs)
    return kernel.macs * (ceil(outputs / VECTOR) * VECTOR) / outputs


def _sums(kernels: Sequence[Kernel]) -> tuple[float, ...]:
    """Return the columns of one model."""
    products = [kernel for kernel in kernels if kernel.kind in PRODUCTS]
    return (
        log1p(sum(kernel.macs for kernel in kernels)),
        log1p(sum(kernel.element_operations for kernel in kernels)),
        log1p(sum(kernel.weight_bytes for kernel in kernels)),
        log1p(sum(kernel.read_bytes + kernel.written_bytes for kernel in kernels)),
        log1p(max((kernel.bytes for kernel in kernels), default=0)),
        log1p(max((kernel.shape.get("n", 0) for kernel in products), default=0)),
        float(len(kernels)),
        float(len(products)),
    )
