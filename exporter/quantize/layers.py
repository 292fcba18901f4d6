"""The layers of an ONNX graph: what a quantization policy speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from hwloop.exporter.quantize.wiring import Wiring, attribute, is_standard

ACTIVATIONS = ("Relu", "Clip")
TABLE = "Gather"


@dataclass(frozen=True)
class Layer:
    """A MatMul, Gemm or Conv with constant float32 weights, or a table; `index` is its node's place in the graph.

    A table is a Gather that looks up rows of a constant matrix: an embedding. `input` is the tensor that feeds a layer,
    `result` the one it makes, with the bias in it, and `output` the one that leaves it: behind a Relu or Clip, where
    nothing else reads what is before. `bias_index` is the place of the Add that is a MatMul's bias.
    """

    name: str
    kind: str
    index: int
    input: str
    weight: str
    bias: str | None
    bias_index: int | None
    result: str
    output: str

    @property
    def is_table(self) -> bool:
        """Whether it looks rows up; a table takes no floats, so that quantizing it needs no range."""
        return self.kind == TABLE


def layers_of(model: onnx.ModelProto) -> list[Layer]:
    """Return a model's layers, in the order of its nodes.

    A MatMul whose right side is a constant matrix, a Gemm and a Conv with constant weights and biases are layers, and a
    Gather of computed rows of a constant matrix that nothing else reads. A product of two computed sides, a Gemm that
    transposes its left side or adds a whole matrix, and what is inside an If or Loop are none.
    """
    return find_layers(Wiring.of(model.graph))


def find_layers(wiring: Wiring) -> list[Layer]:
    """Return the layers of a graph whose wiring is known already; as `layers_of`."""
    places = [index for index, node in enumerate(wiring.nodes) if _is_layer(node, wiring)]
    names = names_for(wiring.nodes[index] for index in places)
    return [_layer(name, index, wiring) for name, index in zip(names, places, strict=True)]


def names_for(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """Yield a name for each node: its own, or else that of its first output; one that is taken gets a number."""
    taken = set()
    for node in nodes:
        wanted = name = node.name or node.output[0]
        count = 1
        while name in taken:
            count += 1
            name = f"{wanted}_{count}"
        taken.add(name)
        yield name


def _is_layer(node: onnx.NodeProto, wiring: Wiring) -> bool:
    if is_standard(node, TABLE):
        return _is_table(node, wiring)
    if not is_standard(node, "MatMul", "Gemm", "Conv"):
        return False
    weight = wiring.constants.get(node.input[1])
    if node.input[0] in wiring.constants or weight is None or weight.data_type != TensorProto.FLOAT:
        return False
    if node.op_type == "MatMul":
        return len(weight.dims) == 2
    bias = node.input[2] if len(node.input) > 2 else ""
    if bias and bias not in wiring.constants:
        return False
    if node.op_type == "Conv":
        return True
    columns = weight.dims[0 if attribute(node, "transB", 0) else 1]
    vector = not bias or list(wiring.constants[bias].dims) in ([columns], [1, columns], [1], [])
    return vector and not attribute(node, "transA", 0)


def _is_table(node: onnx.NodeProto, wiring: Wiring) -> bool:
    table = wiring.constants.get(node.input[0])
    if table is None or table.data_type != TensorProto.FLOAT or attribute(node, "axis", 0):
        return False
    # One column is no vector; a table that others read stays in memory as floats, whatever this node looks up.
    return (
        len(table.dims) == 2
        and table.dims[1] > 1
        and node.input[1] not in wiring.constants
        and wiring.only_reader(node.input[0]) is not None
    )


def _layer(name: str, index: int, wiring: Wiring) -> Layer:
    node = wiring.nodes[index]
    if node.op_type == TABLE:
        indices, result = node.input[1], node.output[0]
        return Layer(name, TABLE, index, indices, node.input[0], None, None, result, result)
    bias = (node.input[2] or None) if len(node.input) > 2 else None
    result, bias_index = node.output[0], None
    if node.op_type == "MatMul":
        columns = wiring.constants[node.input[1]].dims[1]
        bias, bias_index = _bias_after(result, columns, wiring)
        if bias_index is not None:
            result = wiring.nodes[bias_index].output[0]
    output = result
    after = wiring.only_reader(result)
    if after is not None and is_standard(wiring.nodes[after], *ACTIVATIONS):
        output = wiring.nodes[after].output[0]
    return Layer(name, node.op_type, index, node.input[0], node.input[1], bias, bias_index, result, output)


def _bias_after(product: str, columns: int, wiring: Wiring) -> tuple[str | None, int | None]:
    """Return the constant vector that is added to a product, and the place of the Add."""
    after = wiring.only_reader(product)
    if after is None or not is_standard(wiring.nodes[after], "Add"):
        return None, None
    bias = next((name for name in wiring.nodes[after].input if name != product), product)
    tensor = wiring.constants.get(bias)
    found = tensor is not None and tensor.data_type == TensorProto.FLOAT and list(tensor.dims) == [columns]
    return (bias, after) if found else (None, None)
