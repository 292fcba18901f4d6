"""Which operators a runtime executes in one go.

An elementwise step rides on the kernel whose value it continues if nothing but such steps reads that value. It joins
the latest kernel that it reads from, so that a kernel depends on earlier ones only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hwloop.exporter.kernels.reading import Op
from hwloop.exporter.kernels.roles import Role
from hwloop.exporter.kernels.uses import Uses

PRODUCTS = frozenset([Role.MATMUL, Role.CONV])


@dataclass(eq=False)
class Group:
    """One kernel: the operator that it is named after, and what rides on it."""

    place: int
    ops: list[Op] = field(default_factory=list)

    @property
    def anchor(self) -> Op:
        """The operator that the kernel is named after."""
        return self.ops[0]


def fuse(uses: Uses) -> list[Group]:
    """Cut a graph into kernels, in an order in which they can run."""
    groups: list[Group] = []
    owner: dict[str, Group] = {}
    waiting: dict[str, list[Op]] = {}  # what goes with whoever reads it
    for op in uses.ops:
        read = [(name, owner[name]) for name in uses.reads(op) if name in owner]
        brought = [one for name in uses.reads(op) for one in waiting.pop(name, [])]
        if (_is_scalar(uses, op) and read) or _scales_an_operand(uses, op):
            waiting[op.outputs[0]] = [*brought, op]
            if read:
                owner[op.outputs[0]] = max((group for _, group in read), key=lambda group: group.place)
            continue
        group = _host(uses, op, read)
        if group is None:
            group = Group(len(groups), [op])
            groups.append(group)
        else:
            group.ops.append(op)
        group.ops.extend(brought)
        owner.update(dict.fromkeys(op.outputs, group))
    return groups


def _host(uses: Uses, op: Op, read: Sequence[tuple[str, Group]]) -> Group | None:
    """Return the kernel that an operator joins, if it does."""
    if op.role is not Role.ELEMENTWISE or not read:
        return None
    name, group = max(read, key=lambda pair: (pair[1].place, uses.graph.tensor(pair[0]).numel))
    if uses.graph.tensor(name).numel != uses.graph.tensor(op.outputs[0]).numel:
        return None
    if name in uses.results or any(reader.role is not Role.ELEMENTWISE for reader in uses.readers[name]):
        return None
    return group if _carries(uses, group, op, alone=len(uses.reads(op)) == 1) else None


def _carries(uses: Uses, group: Group, op: Op, *, alone: bool) -> bool:
    """Whether a kernel takes an elementwise step behind it; `alone` if that reads nothing else but constants."""
    if group.ops[-1].kind == "QuantizeLinear":
        return False
    role = group.anchor.role
    if role in PRODUCTS or role is Role.ELEMENTWISE:
        return True
    if role is Role.NORM:  # its scale and its shift
        return alone and op.kind in ("Mul", "Add") and len(op.inputs) == 2
    return op.kind == "QuantizeLinear" and role in (Role.POOL, Role.SOFTMAX, Role.COPY)


def _is_scalar(uses: Uses, op: Op) -> bool:
    """Whether an operator computes with single numbers made as the network runs, such as scales."""
    reads = uses.reads(op)
    single = all(uses.graph.tensor(name).shape == () for name in reads)
    return op.role is Role.ELEMENTWISE and bool(reads) and single and len(uses.readers.get(op.outputs[0], ())) == 1


def _scales_an_operand(uses: Uses, op: Op) -> bool:
    """Whether an operator multiplies all of what a product alone reads by one number, as attention does."""
    readers = uses.readers.get(op.outputs[0], ())
    constants = [name for name in op.inputs if name in uses.graph.constants]
    single = len(constants) == 1 and uses.graph.tensor(constants[0]).numel == 1
    product = len(readers) == 1 and readers[0].role is Role.MATMUL and op.outputs[0] not in uses.results
    return op.kind in ("Mul", "Div") and single and product
