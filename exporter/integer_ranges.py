"""Which integers a graph accepts, read off the graph itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hwloop.exporter.graph import nodes_of, tensors_of

if TYPE_CHECKING:
    import onnx

# Operators that hand their first input on with the same values.
TRANSPARENT = frozenset(
    [
        "Cast",
        "Reshape",
        "Unsqueeze",
        "Squeeze",
        "Flatten",
        "Identity",
        "Transpose",
        "Expand",
        "Slice",
        "Concat",
        "Tile",
        "Split",
    ]
)
# Operators that select rows of a table: (input of the indices, input of the table).
SELECTORS = {
    "Gather": ((1, 0),),
    "GatherElements": ((1, 0),),
    "GatherBlockQuantized": ((1, 0),),
    "EmbedLayerNormalization": ((0, 2), (1, 4)),
}
# Operators between a constant table and its selector that keep the number of rows.
TABLE_WRAPPERS = frozenset({"Identity", "Cast", "DequantizeLinear", "QuantizeLinear"})
MASK_WORD = "mask"
SAMPLE_RATE_NAMES = frozenset({"sr", "sample_rate", "sampling_rate"})
SAMPLE_RATE_HZ = 16000
MOST_CONSTANTS = 1 << 20


def integer_hints(graph: onnx.GraphProto) -> dict[str, tuple[int, int]]:
    """Return half-open ranges [low, high) of values for those graph inputs whose use or name shows them.

    An input that selects rows of a constant table gets the table's rows, one that is compared with constants gets
    those, one that is called a mask gets ones, and a sample rate is 16 kHz where nothing else is said.
    """
    uses = _Uses(graph)
    hints = {}
    for value in graph.input:
        name = value.name.lower()
        if MASK_WORD in name:
            hints[value.name] = (1, 2)
        elif found := uses.range_of(value.name):
            hints[value.name] = found
        elif name in SAMPLE_RATE_NAMES:
            hints[value.name] = (SAMPLE_RATE_HZ, SAMPLE_RATE_HZ + 1)
    return hints


@dataclass(frozen=True)
class _Uses:
    """Who reads and who makes each value of a graph; the graphs inside it count as part of it."""

    graph: onnx.GraphProto

    @cached_property
    def readers(self) -> Mapping[str, list[onnx.NodeProto]]:
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in nodes_of(self.graph):
            for name in node.input:
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def makers(self) -> Mapping[str, onnx.NodeProto]:
        return {name: node for node in nodes_of(self.graph) for name in node.output}

    @cached_property
    def constants(self) -> Mapping[str, onnx.TensorProto]:
        found = {tensor.name: tensor for tensor in tensors_of(self.graph) if tensor.name}
        for node in nodes_of(self.graph):
            if node.op_type == "Constant":
                found.update((node.output[0], entry.t) for entry in node.attribute if entry.HasField("t"))
        return found

    def range_of(self, start: str) -> tuple[int, int] | None:
        """Follow a value to where it is used; None if no use limits it."""
        limits: list[int] = []
        compared: list[tuple[int, int]] = []
        waiting, seen = [start], {start}
        while waiting:
            name = waiting.pop()
            for node in self.readers.get(name, ()):
                limits += self._rows(node, name)
                if node.op_type == "Equal":
                    compared += [span for other in node.input if (span := self._span(other))]
                elif node.op_type in TRANSPARENT and (node.op_type == "Concat" or node.input[0] == name):
                    waiting += [output for output in node.output if output not in seen]
                    seen.update(node.output)
        if limits:
            return 0, min(limits)
        return compared[0] if compared else None

    def _rows(self, node: onnx.NodeProto, indices: str) -> list[int]:
        """Return how many rows the constant tables have that `node` selects from with `indices`."""
        if node.op_type == "OneHot" and node.input[0] == indices:
            span = self._span(node.input[1])
            return [span[0]] if span else []
        axis = next((entry.i for entry in node.attribute if entry.name in ("axis", "gather_axis")), 0)
        found = []
        for place, table_place in SELECTORS.get(node.op_type, ()):
            if len(node.input) > max(place, table_place) and node.input[place] == indices:
                table = self._table(node.input[table_place])
                if table is not None and -len(table.dims) <= axis < len(table.dims):
                    found.append(int(table.dims[axis]))
        return [rows for rows in found if rows > 0]

    def _table(self, name: str) -> onnx.TensorProto | None:
        while name not in self.constants:
            maker = self.makers.get(name)
            if maker is None or maker.op_type not in TABLE_WRAPPERS:
                return None
            name = maker.input[0]
        return self.constants[name]

    def _span(self, name: str) -> tuple[int, int] | None:
        """Return [smallest, largest + 1) of an integer constant, if there is one of this name."""
        from onnx import TensorProto, numpy_helper

        tensor = self.constants.get(name)
        whole = (TensorProto.INT32, TensorProto.INT64)
        if tensor is None or tensor.data_type not in whole or tensor.data_location == TensorProto.EXTERNAL:
            return None
        values = numpy_helper.to_array(tensor)
        if not 0 < values.size <= MOST_CONSTANTS:
            return None
        return int(values.min()), int(values.max()) + 1
