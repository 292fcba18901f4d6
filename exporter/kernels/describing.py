"""From a group of operators to the record of a kernel."""

from __future__ import annotations

from hwloop.exporter.kernels.fusing import Group
from hwloop.exporter.kernels.reading import Op
from hwloop.exporter.kernels.roles import Role
from hwloop.exporter.kernels.schemes import is_integer, scheme_of
from hwloop.exporter.kernels.uses import Uses
from hwloop.exporter.kernels.work import work_of
from hwloop.records import Kernel, KernelKind

KINDS = {
    Role.POOL: KernelKind.POOL,
    Role.SOFTMAX: KernelKind.SOFTMAX,
    Role.NORM: KernelKind.NORM,
    Role.ELEMENTWISE: KernelKind.ELEMENTWISE,
    Role.QUANTIZER: KernelKind.ELEMENTWISE,
    Role.COPY: KernelKind.COPY,
    Role.GATHER: KernelKind.GATHER,
    Role.REDUCTION: KernelKind.REDUCTION,
    Role.RECURRENT: KernelKind.RECURRENT,
    Role.OTHER: KernelKind.OTHER,
}


def describe(uses: Uses, group: Group) -> Kernel:
    """Return what a kernel computes and moves."""
    works = [work_of(uses.graph, op) for op in group.ops]
    scheme = scheme_of(uses, group.anchor)
    shape = works[0].shape
    return Kernel(
        kind=_kind(uses, group.anchor, scheme, shape.get("groups", 1)),
        scheme=scheme,
        shape=shape,
        macs=sum(work.macs for work in works),
        element_operations=sum(work.element_operations for work in works),
        weight_bytes=_weight_bytes(uses, group),
        read_bytes=sum(uses.graph.tensor(name).bytes for name in values_read(uses, group)),
        written_bytes=sum(uses.graph.tensor(name).bytes for name in values_written(uses, group)),
        nodes=sum(op.nodes for op in group.ops),
    )


def values_read(uses: Uses, group: Group) -> list[str]:
    """Return the activations that a kernel takes from others, each once."""
    made = {name for op in group.ops for name in op.outputs}
    read = dict.fromkeys(name for op in group.ops for name in uses.reads(op))
    return [name for name in read if name not in made]


def values_written(uses: Uses, group: Group) -> list[str]:
    """Return the values that a kernel makes for others."""
    inside = {id(op) for op in group.ops}
    return [
        name
        for op in group.ops
        for name in op.outputs
        if name in uses.results or any(id(reader) not in inside for reader in uses.readers.get(name, ()))
    ]


def _weight_bytes(uses: Uses, group: Group) -> int:
    """Return the bytes of the constants that a kernel reads; of a table only the rows that are selected."""
    constants = uses.graph.constants
    total = sum(constant.bytes for op in group.ops for constant in op.inside)
    for name in dict.fromkeys(name for op in group.ops for name in op.inputs if name in constants):
        total += constants[name].bytes
    anchor = group.anchor
    if anchor.role is Role.GATHER and anchor.inputs[0] in constants:
        table = constants[anchor.inputs[0]].bytes
        total += min(table, uses.graph.tensor(anchor.outputs[0]).bytes) - table
    return total


def _kind(uses: Uses, op: Op, scheme: str, groups: int) -> KernelKind:
    if op.role is Role.MATMUL:
        return KernelKind.INTEGER_MATMUL if is_integer(scheme) else KernelKind.MATMUL
    if op.role is Role.CONV:
        depthwise = groups > 1 and groups == uses.graph.tensor(op.inputs[0]).size(1)
        return KernelKind.DEPTHWISE_CONV if depthwise else KernelKind.CONV
    return KINDS[op.role]
