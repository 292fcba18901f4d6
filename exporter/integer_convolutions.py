"""ConvInteger, which TVM's ONNX frontend does not know, in words that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


def spell_out_convolutions(graph: onnx.GraphProto) -> None:
    """Replace each ConvInteger by constants: casts to int32, subtractions of the zero points, and a Conv of those."""
    ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "ConvInteger" and not node.domain and node.input[1] in ranks:
            nodes += _spelled_out(node, ranks, graph)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _spelled_out(node: onnx.NodeProto, ranks: dict[str, int], graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    from onnx import TensorProto, helper

    nodes = []

    def add(operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [f"{node.output[0]}.{name}"], **attributes))
        return f"{node.output[0]}.{name}"

    sides = []
    for side, value, zero in zip(("image", "weight"), node.input, [*node.input[2:], "", ""], strict=False):
        numbers = add("Cast", side, value, to=TensorProto.INT32)
        if zero:
            less = add("Cast", f"{side}.zero", zero, to=TensorProto.INT32)
            if side == "weight" and ranks.get(zero) == 1:  # one for each channel of the result, the first axis
                rank = ranks[value]
                shape = helper.make_tensor(f"{less}.shape", TensorProto.INT64, [rank], [-1] + [1] * (rank - 1))
                graph.initializer.append(shape)
                less = add("Reshape", f"{side}.zeros", less, shape.name)
            numbers = add("Sub", f"{side}.number", numbers, less)
        sides.append(numbers)
    convolution = helper.make_node("Conv", sides, node.output, name=node.name)
    convolution.attribute.extend(node.attribute)
    return [*nodes, convolution]
