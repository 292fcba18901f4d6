"""What a model's graph says about its latency: its kernels, and sums over them.

These features are the same for every space and any ONNX file.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log1p

import numpy as np

from hwloop.predictor.features import Features, KernelTable
from hwloop.records import Kernel, KernelKind

AMOUNTS = (
    "operations",
    "bytes",
    "macs",
    "element_operations",
    "weight_bytes",
    "read_bytes",
    "written_bytes",
)
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
    return tuple(float(getattr(kernel, name)) for name in AMOUNTS)


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
