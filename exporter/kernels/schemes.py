"""What a kernel computes in: the scheme of its weights and activations, or its type."""

from __future__ import annotations

from hwloop.exporter.kernels.reading import Op
from hwloop.exporter.kernels.roles import Role
from hwloop.exporter.kernels.tensors import SHORT, bits_of
from hwloop.exporter.kernels.uses import Uses
from hwloop.exporter.kernels.work import right_side
from hwloop.records import Scheme

DYNAMIC = frozenset(["DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"])
INTEGER = frozenset(["ConvInteger", "MatMulInteger"])
NARROW = frozenset(["int8", "uint8"])


def scheme_of(uses: Uses, op: Op) -> str:
    """Return the scheme of a kernel by the operator that it is named after."""
    if op.kind in DYNAMIC:
        return Scheme.INT8_DYNAMIC.value
    if op.kind in INTEGER:
        maker = uses.makers.get(uses.value(op, op.inputs[0]))
        dynamic = maker is not None and maker.kind in DYNAMIC
        return (Scheme.INT8_DYNAMIC if dynamic else Scheme.INT8_STATIC).value
    if op.kind == "MatMulNBits":
        return f"int{op.attributes.get('bits', 4)}-weight"
    dtype = _dtype(uses, op)
    if op.role is Role.GATHER and dtype in NARROW:
        return f"{dtype.lstrip('u')}-weight"
    if dtype in NARROW:
        return Scheme.INT8_STATIC.value
    if op.role in (Role.MATMUL, Role.CONV):
        weight = uses.graph.constants.get(right_side(op))
        if weight is not None and weight.quantized:
            return f"int{bits_of(weight.dtype)}-weight"
    return SHORT.get(dtype, dtype)


def is_integer(scheme: str) -> bool:
    """Whether a product of this scheme multiplies whole numbers."""
    return scheme in (Scheme.INT8_STATIC.value, Scheme.INT8_DYNAMIC.value)


def _dtype(uses: Uses, op: Op) -> str:
    """Return the type of what an operator reads first; of a table's rows where it selects from one."""
    if op.kind == "Cast" or not op.inputs:
        return uses.graph.tensor(op.outputs[0]).dtype if op.outputs else "undefined"
    first = next((name for name in op.inputs if name and name not in uses.graph.constants), op.inputs[0])
    if op.role is Role.GATHER:
        first = op.inputs[0]
    return uses.graph.tensor(uses.value(op, first)).dtype
