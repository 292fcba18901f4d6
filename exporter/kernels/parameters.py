"""How many of a model's constants are trained numbers."""

from __future__ import annotations

from hwloop.exporter.kernels.reading import Op
from hwloop.exporter.kernels.roles import Role
from hwloop.exporter.kernels.schemes import NARROW
from hwloop.exporter.kernels.tensors import FLOATS
from hwloop.exporter.kernels.uses import Uses
from hwloop.exporter.kernels.work import right_side

# Inputs that say how others are quantized, or what a batch norm has seen.
NOT_TRAINED = {
    "BatchNormalization": (3, 4),
    "ConvInteger": (2, 3),
    "DequantizeLinear": (1, 2),
    "DynamicQuantizeMatMul": (2, 3),
    "MatMulInteger": (2, 3),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    "MatMulNBits": (2, 3, 4),
    "QLinearAdd": (1, 2, 4, 5, 6, 7),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QuantizeLinear": (1, 2),
}


def count_parameters(uses: Uses) -> int:
    """Return how many numbers the operators read that were trained: those of the weights, norms and biases.

    Single numbers, such as an epsilon, do not count, nor scales and zero points.
    """
    graph = uses.graph
    found: dict[str, int] = {}
    for op in uses.ops:
        if op.role is Role.GATHER and op.inputs[0] in graph.constants:
            found[op.inputs[0]] = _in_table(uses, op)
            continue
        if _scales(uses, op):
            continue
        weight = right_side(op) if op.role in (Role.MATMUL, Role.CONV) else ""
        for place, name in enumerate(op.inputs):
            constant = graph.constants.get(name)
            if constant is None or place in NOT_TRAINED.get(op.kind, ()):
                continue
            numbers = graph.tensor(name).numel
            if op.kind == "MatMulNBits" and name == weight:
                found[name] = op.attributes.get("N", 0) * op.attributes.get("K", 0)
            elif numbers > 1 and (constant.quantized or constant.dtype in FLOATS or name == weight):
                found[name] = numbers
    return sum(found.values())


def _in_table(uses: Uses, op: Op) -> int:
    """Return how many trained numbers the table has that an operator looks up: none in a column of rows' scales."""
    table = uses.graph.tensor(op.inputs[0])
    if table.dtype in FLOATS:
        return table.numel if table.size(-1) > 1 else 0
    halved = any(reader.kind == "BitShift" for reader in uses.readers.get(op.outputs[0], ()))
    return table.numel * (1 + halved) if table.dtype in NARROW else 0


def _scales(uses: Uses, op: Op) -> bool:
    """Whether an operator multiplies a scale that was just found by one that is known."""
    makers = [uses.makers.get(name) for name in uses.reads(op)]
    return (
        bool(makers) and all(maker and maker.kind == "DynamicQuantizeLinear" for maker in makers) and op.kind == "Mul"
    )
