"""Who makes and who reads each tensor of a graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx

from hwloop.exporter.graph import nodes_of

STANDARD = ("", "ai.onnx")
INNER = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


@dataclass(frozen=True)
class Wiring:
    """A graph's nodes, its constants by name, and the indices of the nodes that make and read each tensor.

    A node with graphs inside it reads what those read.
    """

    nodes: Sequence[onnx.NodeProto]
    constants: Mapping[str, onnx.TensorProto]
    makers: Mapping[str, int]
    readers: Mapping[str, Sequence[int]]
    outputs: frozenset[str]

    @classmethod
    def of(cls, graph: onnx.GraphProto) -> Wiring:
        """Read a graph's wiring; the tensors of Constant nodes count as constants."""
        nodes = list(graph.node)
        constants = {tensor.name: tensor for tensor in graph.initializer}
        makers: dict[str, int] = {}
        readers: dict[str, list[int]] = defaultdict(list)
        for index, node in enumerate(nodes):
            makers.update((name, index) for name in node.output if name)
            for name in read_by(node):
                readers[name].append(index)
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                constants[node.output[0]] = node.attribute[0].t
        return cls(nodes, constants, makers, dict(readers), frozenset(value.name for value in graph.output))

    def maker(self, tensor: str) -> onnx.NodeProto | None:
        """Return the node that makes a tensor; None for inputs and initializers."""
        index = self.makers.get(tensor)
        return None if index is None else self.nodes[index]

    def only_reader(self, tensor: str) -> int | None:
        """Return the index of the one node that reads a tensor; None if there is no such, or it leaves the graph."""
        readers = self.readers.get(tensor, ())
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None


def is_standard(node: onnx.NodeProto, *operators: str) -> bool:
    """Return whether a node is one of ONNX's own operators named."""
    return node.op_type in operators and node.domain in STANDARD


def attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    """Return a number among a node's attributes."""
    for found in node.attribute:
        if found.name == name:
            return float(found.i if found.type == onnx.AttributeProto.INT else found.f)
    return default


def read_by(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the tensors that a node reads, itself or in graphs inside it."""
    yield from filter(None, node.input)
    for found in node.attribute:
        if found.type in INNER:
            for inner in (found.g, *found.graphs):
                for below in nodes_of(inner):
                    yield from filter(None, below.input)
