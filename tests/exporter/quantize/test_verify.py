"""The schemes are read back from the graph, of other tools' models too, and a difference is told."""

import numpy as np
import onnx
import pytest

from hwloop.exporter.quantize.calibrate import calibrate
from hwloop.exporter.quantize.quantize import quantize
from hwloop.exporter.quantize.verify import found_layers, scheme_of, verify_policy
from hwloop.records import QuantPolicy, Scheme
from hwloop.testing.networks.quantized import dynamic_int8, static_int8
from hwloop.testing.networks.resnet import resnet
from hwloop.testing.networks.vit import vit


@pytest.mark.parametrize(
    ("quantizer", "scheme"), [(static_int8, Scheme.INT8_STATIC), (dynamic_int8, Scheme.INT8_DYNAMIC)]
)
@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_models_of_onnx_runtimes_own_quantizer_are_read(family, quantizer, scheme, tmp_path):
    path = tmp_path / "model.onnx"
    if family == "vit":
        vit(path, width=48, depth=1, size=32)
    else:
        resnet(path, 32, (1, 1, 1, 1), 8)
    count = len(found_layers(onnx.load(path)))
    found = scheme_of(onnx.load(quantizer(path, tmp_path / "quantized.onnx")))
    assert len(found) == count and set(found.values()) == {scheme}


@pytest.mark.parametrize(
    ("operator", "place", "domain", "scheme"),
    [
        ("QLinearMatMul", 3, "", Scheme.INT8_STATIC),
        ("QLinearConv", 3, "", Scheme.INT8_STATIC),
        ("QGemm", 3, "com.microsoft", Scheme.INT8_STATIC),
        ("DynamicQuantizeMatMul", 1, "com.microsoft", Scheme.INT8_DYNAMIC),
        ("MatMulNBits", 1, "com.microsoft", Scheme.INT4_WEIGHT),
    ],
)
def test_operators_that_are_a_quantized_layer_in_themselves_are_read(net, operator, place, domain, scheme):
    graph = net([2, 4])
    weight = graph.draw("w", 4, 4, scale=1)
    graph.op(operator, *[""] * place, weight, name="fc", domain=domain)
    assert scheme_of(graph.model("t0")) == {"fc": scheme}


def test_eight_bit_weights_with_float_activations_are_no_scheme(linear, batches):
    model = quantize(linear(), QuantPolicy({"fc": "int4-weight"}))
    (weight,) = [tensor for tensor in model.graph.initializer if tensor.name.endswith("int4")]
    weight.data_type = onnx.TensorProto.UINT8
    assert scheme_of(model) == {}
    assert found_layers(model)[0].what == "uint8 weights with float activations"
    with pytest.raises(RuntimeError, match="layer fc: asked for int4-weight, and the graph has uint8 weights"):
        verify_policy(model, {"fc": Scheme.INT4_WEIGHT})


def test_another_scheme_than_asked_for_is_told(linear):
    model = quantize(linear(), QuantPolicy({"fc": "int8-dynamic"}))
    verify_policy(model, {"fc": Scheme.INT8_DYNAMIC})
    with pytest.raises(RuntimeError, match="layer fc: asked for fp32, and the graph has int8-dynamic"):
        verify_policy(model, {"fc": Scheme.FP32})


def test_a_layer_that_vanished_is_told(linear):
    with pytest.raises(RuntimeError, match="layer gone: asked for fp32, and the graph has no such layer"):
        verify_policy(linear(), {"fc": Scheme.FP32, "gone": Scheme.FP32})


def test_a_static_layer_that_reads_floats_is_no_static_layer(linear, batches):
    float_model = linear()
    model = quantize(float_model, QuantPolicy({"fc": "int8-static"}), calibrate(float_model, batches(float_model)))
    (product,) = [node for node in model.graph.node if node.op_type == "MatMul"]
    product.input[0] = "x"
    assert found_layers(model)[0].what == "int8 weights with float activations"


def test_a_product_of_two_computed_sides_is_no_layer(net):
    graph = net([1, 4, 4])
    scale, zero = graph.constant("s", np.float32(0.1)), graph.constant("z", np.uint8(3))
    side = graph.op("DequantizeLinear", graph.op("QuantizeLinear", "x", scale, zero), scale, zero)
    assert found_layers(graph.model(graph.op("MatMul", side, side))) == []
