"""Which integers a graph accepts, read off the graph itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwloop.exporter.model import nodes_of, tensors_of

if TYPE_CHECKING:
    import onnx

# Operators that hand their first input on with the same values.
TRANSPARENT = frozenset(
    {
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
    }
)
MASK_WORDS = ("mask",)


def integer_hints(graph: onnx.GraphProto) -> dict[str, tuple[int, int]]:
    """Return half-open ranges [low, high) of values for those graph inputs whose use shows them.

    An input that selects rows of a constant table gets the table's rows; one that is compared with a constant
    gets that constant; one that is called a mask gets ones.
    """
    hints = {value.name: (1, 2) for value in graph.input if any(word in value.name.lower() for word in MASK_WORDS)}
    consumers: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes_of(graph):
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    tables = {tensor.name: tensor for tensor in graph.initializer}
    constants = _small_constants(graph)
    for value in graph.input:
        if value.name in hints:
            continue
        found = _trace(value.name, consumers, tables, constants)
        if found:
            hints[value.name] = found
    return hints


def _trace(
    start: str,
    consumers: dict[str, list[onnx.NodeProto]],
    tables: dict[str, onnx.TensorProto],
    constants: dict[str, int],
) -> tuple[int, int] | None:
    rows: list[int] = []
    compared: list[int] = []
    waiting, seen = [start], {start}
    while waiting:
        name = waiting.pop()
        for node in consumers.get(name, ()):
            if node.op_type == "Gather" and len(node.input) > 1 and node.input[1] == name:
                table = tables.get(node.input[0])
                axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
                if table is not None and table.dims:
                    rows.append(int(table.dims[axis]))
            elif node.op_type == "Equal":
                compared += [constants[other] for other in node.input if other in constants]
            elif node.op_type in TRANSPARENT and (node.op_type == "Concat" or node.input[0] == name):
                fresh = [output for output in node.output if output not in seen]
                waiting += fresh
                seen.update(fresh)
    if rows:
        return 0, min(rows)
    return (compared[0], compared[0] + 1) if compared else None


def _small_constants(graph: onnx.GraphProto) -> dict[str, int]:
    """Return the integer constants of one element by name."""
    from onnx import numpy_helper

    found = {tensor.name: tensor for tensor in tensors_of(graph) if tensor.name}
    for node in nodes_of(graph):
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    found[node.output[0]] = attribute.t
    return {
        name: int(numpy_helper.to_array(tensor).reshape(-1)[0])
        for name, tensor in found.items()
        if tensor.data_type in (6, 7) and _is_single(tensor) and tensor.data_location == 0
    }


def _is_single(tensor: onnx.TensorProto) -> bool:
    return all(size == 1 for size in tensor.dims)
