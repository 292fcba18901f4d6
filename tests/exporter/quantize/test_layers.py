"""What counts as a layer, and what it is called."""

import numpy as np
from onnx import helper

from hwloop.exporter.quantize.layers import layers_of

ENCODER = [f"encoder.0.{name}" for name in ("attn.q", "attn.k", "attn.v", "attn.out", "ffn.fc1", "ffn.fc2")]
CNN = ["stem", "stages.0.0.reduce", "stages.0.0.depthwise", "stages.0.0.expand", "stages.1.0.conv", "head"]


def test_layers_carry_the_names_of_their_nodes_and_attention_is_none(encoder):
    assert [layer.name for layer in layers_of(encoder)] == [*ENCODER, "head.fc"]


def test_a_layer_ends_behind_its_bias_and_activation(encoder, cnn):
    by_name = {layer.name: layer for layer in (*layers_of(encoder), *layers_of(cnn))}
    makers = {name: node for model in (encoder,) for node in model.graph.node for name in node.output}
    inner = by_name["encoder.0.ffn.fc1"]
    assert (inner.kind, inner.weight, inner.bias) == ("MatMul", "encoder.0.ffn.fc1.weight", "encoder.0.ffn.fc1.bias")
    assert makers[inner.result].op_type == "Add" and makers[inner.output].op_type == "Relu"
    assert encoder.graph.node[inner.index].name == inner.name
    assert by_name["stages.0.0.expand"].output == by_name["stages.0.0.expand"].result
    assert [by_name[name].kind for name in CNN] == ["Conv"] * 5 + ["Gemm"]


def test_the_layers_that_share_a_tensor_say_so(encoder):
    query, key, value = layers_of(encoder)[:3]
    assert query.input == key.input == value.input


def test_unnamed_nodes_are_called_after_what_they_make_and_twins_are_numbered(net):
    graph = net([2, 4])
    for name in ("", "twin", "twin"):
        graph.op("MatMul", "x", graph.draw(f"w{len(graph.nodes)}", 4, 4, scale=1), name=name)
    model = graph.model("t0", "t1", "t2")
    assert [layer.name for layer in layers_of(model)] == ["t0", "twin", "twin_2"]


def test_a_constant_node_is_as_good_as_an_initializer(net):
    graph = net([2, 4])
    tensor = helper.make_tensor("value", 1, [4, 4], np.ones(16))
    weight = graph.op("Constant", value=tensor)
    graph.op("MatMul", "x", weight, result="y", name="fc")
    assert [layer.weight for layer in layers_of(graph.model("y"))] == [weight]


def test_what_cannot_be_quantized_is_no_layer(net):
    graph = net([4, 4])
    left = graph.op("MatMul", graph.draw("left", 4, 4, scale=1), "x")
    batch = graph.op("MatMul", left, graph.draw("stack", 3, 4, 4, scale=1))
    turned = graph.op("Gemm", "x", graph.draw("turned", 4, 4, scale=1), transA=1)
    whole = graph.op("Gemm", "x", graph.draw("w", 4, 4, scale=1), graph.draw("matrix", 4, 4, scale=1))
    assert layers_of(graph.model(batch, turned, whole)) == []
