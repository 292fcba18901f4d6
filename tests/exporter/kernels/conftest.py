import onnx
import pytest

from hwloop.exporter.graph import nodes_of
from hwloop.exporter.kernels import kernels_of


@pytest.fixture
def parse():
    """Parses onnx's text form of a model; what it declares between `<` and `>` and nobody makes becomes a weight."""

    def parse(text):
        model = onnx.parser.parse_model(text)
        inner = [entry.g for node in model.graph.node for entry in node.attribute if entry.HasField("g")]
        for graph in (model.graph, *inner):
            made = {name for node in nodes_of(graph) for name in node.output}
            for value in graph.value_info:
                if value.name not in made:
                    dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
                    kind = value.type.tensor_type.elem_type
                    graph.initializer.add(name=value.name, data_type=kind, dims=dims)  # kernels need no numbers
        return model

    return parse


@pytest.fixture
def cut(parse):
    """Cuts a graph into kernels, given like `(float[1,8] x) => (float[1,8] y) { y = Relu(x) }`."""

    def cut(text, sizes=None, opset=18):
        opsets = f'["" : {opset}, "com.microsoft" : 1, "of.nobody" : 1]'
        return kernels_of(parse(f"<ir_version: 10, opset_import: {opsets}> g {text}"), sizes or {})

    return cut
