"""Who makes and who reads each value, views and idle dequantizations looked through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hwloop.exporter.kernels.reading import Graph, Op
from hwloop.exporter.kernels.roles import Role

# What a runtime computes on quantized numbers, so that their dequantization costs nothing.
TAKE_QUANTIZED = frozenset([Role.MATMUL, Role.CONV, Role.ELEMENTWISE, Role.POOL, Role.SOFTMAX, Role.COPY])


@dataclass(frozen=True)
class Uses:
    """The operators of a graph that its outputs depend on, in order, and how values pass between them."""

    graph: Graph
    ops: tuple[Op, ...]
    _reads: dict[Op, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def makers(self) -> Mapping[str, Op]:
        """Who makes a value."""
        return {name: op for op in self.ops for name in op.outputs if name}

    @cached_property
    def readers(self) -> Mapping[str, list[Op]]:
        """Who reads a value, however it is viewed."""
        found: dict[str, list[Op]] = {}
        for op in self.ops:
            for name in self.reads(op):
                found.setdefault(name, []).append(op)
        return found

    @cached_property
    def results(self) -> frozenset[str]:
        """The values that the graph returns."""
        return frozenset(self.graph.root(name) for name in self.graph.outputs)

    def reads(self, op: Op) -> tuple[str, ...]:
        """Return the values that an operator reads, each once, but for constants."""
        found = self._reads.get(op)
        if found is None:
            names = (self.value(op, name) for name in op.inputs if name and name not in self.graph.constants)
            found = self._reads[op] = tuple(dict.fromkeys(names))
        return found

    def value(self, op: Op, name: str) -> str:
        """Return the value behind an input: not a view of it, nor its dequantized form where that is idle."""
        root = self.graph.root(name)
        if op.role in TAKE_QUANTIZED and root in self._dequantizers:
            return self.graph.root(self._dequantizers[root].inputs[0])
        return root

    @cached_property
    def _dequantizers(self) -> Mapping[str, Op]:
        return {op.outputs[0]: op for op in self.graph.ops if op.kind == "DequantizeLinear"}


def living(graph: Graph) -> Uses:
    """Return the uses among the operators that the outputs depend on."""
    everything = Uses(graph, tuple(graph.ops))
    return Uses(graph, tuple(_needed(everything)))


def _needed(uses: Uses) -> Iterable[Op]:
    wanted = set(uses.results)
    kept: list[Op] = []
    for op in reversed(uses.ops):
        if wanted.intersection(op.outputs):
            wanted.update(uses.reads(op))
            kept.append(op)
    return reversed(kept)
