"""What each scheme becomes in the graph, what ONNX Runtime makes of that, and how close it stays."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwloop.errors import UsageError
from hwloop.exporter.quantize.calibrate import calibrate
from hwloop.exporter.quantize.quantize import quantize, quantize_parts
from hwloop.exporter.quantize.ranges import Ranges
from hwloop.exporter.quantize.verify import scheme_of
from hwloop.records import QuantPolicy, Scheme
from hwloop.testing.networks.resnet import resnet
from hwloop.testing.networks.vit import vit

EVERY_SCHEME = pytest.mark.parametrize("scheme", list(Scheme))
# The Euclidean error of a network's outputs by their size, on random weights and inputs: 8 bits, and 4.
BOUNDS = {Scheme.FP32: 1e-5, Scheme.INT8_DYNAMIC: 0.05, Scheme.INT8_STATIC: 0.05, Scheme.INT4_WEIGHT: 0.3}


def everywhere(scheme) -> QuantPolicy:
    return QuantPolicy({"*": scheme})


def operators(model) -> Counter:
    return Counter(node.op_type for node in model.graph.node)


def relative_error(found, wanted) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


# ── in general ──


@EVERY_SCHEME
@pytest.mark.parametrize("network", ["encoder", "cnn"])
def test_every_scheme_stays_close_to_the_float_network(network, scheme, request, batches, run):
    model = request.getfixturevalue(network)
    seen = batches(model)
    quantized = quantize(model, everywhere(scheme), calibrate(model, seen))
    onnx.checker.check_model(quantized, full_check=True)
    x = seen[0]["x"]
    assert relative_error(run(quantized, x), run(model, x)) < BOUNDS[scheme]


@EVERY_SCHEME
@pytest.mark.parametrize(
    "write",
    [lambda path: vit(path, width=48, depth=2, size=32), lambda path: resnet(path, 32, (1, 1, 1, 1), 8)],
    ids=["vit", "resnet"],
)
def test_files_of_other_exporters_and_older_opsets_are_quantized_too(write, scheme, tmp_path, run):
    model = onnx.load(write(tmp_path / "model.onnx"))
    image = np.random.default_rng(0).standard_normal((1, 3, 32, 32), dtype=np.float32)
    quantized = quantize(model, everywhere(scheme), calibrate(model, [{"image": image}]))
    assert set(scheme_of(quantized).values()) == {scheme}
    feed = {"image": image}
    found, wanted = (
        ort.InferenceSession(each.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feed)[0]
        for each in (quantized, model)
    )
    assert relative_error(found, wanted) < BOUNDS[scheme]


@EVERY_SCHEME
@pytest.mark.parametrize("bias", [False, True])
def test_no_two_nodes_have_one_name_where_the_source_gave_none(net, batches, run, scheme, bias):
    graph = net([4, 16])
    product = graph.op("MatMul", "x", graph.draw("w", 16, 8, scale=1), result="product" if bias else "y")
    if bias:
        graph.op("Add", product, graph.draw("b", 8, scale=1), result="y")
    model = graph.model("y")
    quantized = quantize(model, everywhere(scheme), calibrate(model, batches(model)))
    names = [node.name for node in quantized.graph.node if node.name]
    assert len(names) == len(set(names)) and scheme_of(quantized) == {product: scheme}
    run(quantized, batches(model)[0]["x"])  # ONNX Runtime refuses twins


@EVERY_SCHEME
def test_the_source_is_left_as_it_was(encoder, batches, scheme):
    before = encoder.SerializeToString(deterministic=True)
    quantize(encoder, everywhere(scheme), calibrate(encoder, batches(encoder)))
    assert encoder.SerializeToString(deterministic=True) == before


def test_layers_of_a_mixture_have_each_their_own_scheme(encoder, batches, run):
    rules = {"encoder.0.attn": "int8-dynamic", "encoder.0.ffn": "int8-static", "head": "int4-weight"}
    policy = QuantPolicy({**rules, "encoder.0.attn.k": "fp32"})
    quantized = quantize(encoder, policy, calibrate(encoder, batches(encoder)))
    found = scheme_of(quantized)
    assert found == policy.resolved(found)
    x = batches(encoder)[0]["x"]
    assert relative_error(run(quantized, x), run(encoder, x)) < 0.2


def test_what_nobody_reads_any_more_is_left_out(encoder, batches):
    quantized = quantize(encoder, everywhere("int8-static"), calibrate(encoder, batches(encoder)))
    read = {name for node in quantized.graph.node for name in node.input}
    assert {tensor.name for tensor in quantized.graph.initializer} <= read
    floats = [tensor for tensor in quantized.graph.initializer if tensor.data_type == TensorProto.FLOAT]
    assert all(len(tensor.dims) < 2 for tensor in floats)


def test_a_quantized_model_can_be_quantized_further(encoder, batches):
    ranges = calibrate(encoder, batches(encoder))
    first = quantize(encoder, QuantPolicy({"encoder.0.ffn": "int8-static"}), ranges)
    remaining = {name: "int8-static" for name in ("encoder.0.attn.q", "head.fc")}
    assert Counter(scheme_of(quantize(first, QuantPolicy(remaining), ranges)).values())[Scheme.INT8_STATIC] == 4


def test_a_rule_may_speak_of_one_part_of_a_candidate_alone(encoder, cnn):
    policy = QuantPolicy({"encoder.0": "int8-dynamic", "stages": "int8-dynamic"})
    one, other = quantize_parts([encoder, cnn], policy)
    assert scheme_of(one)["encoder.0.attn.q"] is scheme_of(other)["stages.1.0.conv"] is Scheme.INT8_DYNAMIC
    with pytest.raises(UsageError, match="no layer or block 'decoder'"):
        quantize_parts([encoder, cnn], QuantPolicy({"decoder": "int8-dynamic"}))


# ── int8-dynamic ──


def test_layers_that_read_one_tensor_share_its_quantization(encoder):
    counts = operators(quantize(encoder, everywhere("int8-dynamic")))
    assert counts["MatMulInteger"] == 7 and counts["DynamicQuantizeLinear"] == 5


def test_dynamic_products_run_in_onnx_runtimes_own_kernel(encoder, kernels):
    counts = Counter(kernels(quantize(encoder, everywhere("int8-dynamic"))))
    assert counts["DynamicQuantizeMatMul"] + counts["MatMulIntegerToFloat"] == 7 and not counts["MatMulInteger"]


# ── int8-static ──


@pytest.mark.parametrize("rank", [2, 3])
def test_a_static_product_runs_on_bytes_whatever_its_rank(linear, batches, kernels, rank):
    model = linear(rank=rank)
    found = kernels(quantize(model, everywhere("int8-static"), calibrate(model, batches(model))))
    assert {"MatMulIntegerToFloat", "QGemm"} & set(found) and not {"MatMul", "Gemm"} & set(found)


def test_static_networks_run_on_bytes(encoder, cnn, batches, kernels):
    for model, wanted in (
        (encoder, {"MatMulIntegerToFloat": 6, "QGemm": 1, "MatMul": 2, "Gemm": 0}),
        (cnn, {"QLinearConv": 5, "QLinearAdd": 1, "QGemm": 1, "Conv": 0, "Add": 0, "Gemm": 0, "MaxPool": 0}),
    ):
        counts = Counter(kernels(quantize(model, everywhere("int8-static"), calibrate(model, batches(model)))))
        assert {name: counts[name] for name in wanted} == wanted


def test_a_float_layer_beside_a_static_one_reads_floats(encoder, batches):
    policy = QuantPolicy({"encoder.0.attn.q": "int8-static"})
    quantized = quantize(encoder, policy, calibrate(encoder, batches(encoder)))
    makers = {name: node.op_type for node in quantized.graph.node for name in node.output}
    query, key = (next(node for node in quantized.graph.node if node.name == f"encoder.0.attn.{name}") for name in "qk")
    assert (makers[query.input[0]], makers[key.input[0]]) == ("DequantizeLinear", "LayerNormalization")


def test_an_output_of_the_graph_keeps_its_name_when_a_convolution_makes_it(net, batches, run):
    graph = net([1, 3, 8, 8])
    model = graph.model(graph.op("Relu", graph.conv("conv", "x", 3, 4), result="y"))
    quantized = quantize(model, everywhere("int8-static"), calibrate(model, batches(model)))
    assert [value.name for value in quantized.graph.output] == ["y"]
    x = batches(model)[0]["x"]
    assert relative_error(run(quantized, x), run(model, x)) < 0.02


def test_the_ranges_of_a_larger_model_serve_a_smaller_one(linear, batches, run):
    large, small = linear(after=96), linear(after=32)
    ranges = calibrate(large, batches(large))
    x = batches(small)[0]["x"]
    assert relative_error(run(quantize(small, everywhere("int8-static"), ranges), x), run(small, x)) < 0.02


# ── int4-weight ──


def test_four_bit_products_run_in_onnx_runtimes_own_kernel(encoder, kernels):
    counts = Counter(kernels(quantize(encoder, everywhere("int4-weight"))))
    assert counts["MatMulNBits"] == 7 and not counts["DequantizeLinear"]


@pytest.mark.parametrize(("block_size", "bits"), [(16, 6.25), (32, 5.125), (64, 4.5625), (128, 4.28125)])
def test_a_four_bit_weight_takes_its_bits_and_its_share_of_scales(linear, block_size, bits):
    model = linear(before=1024, after=512)
    quantized = quantize(model, everywhere("int4-weight"), block_size=block_size)
    assert quantized.ByteSize() / model.ByteSize() == pytest.approx(bits / 32, rel=0.03)


@pytest.mark.parametrize("before", [16, 63, 100])
def test_blocks_need_not_divide_a_layer(linear, run, batches, before):
    model = linear(before=before, after=7)
    x = batches(model)[0]["x"]
    assert relative_error(run(quantize(model, everywhere("int4-weight")), x), run(model, x)) < 0.2


def test_an_older_opset_is_raised_for_four_bits_alone(tmp_path):
    model = onnx.load(vit(tmp_path / "model.onnx", width=48, depth=1, size=32))
    assert quantize(model, everywhere("int8-dynamic")).opset_import[0].version == 18
    raised = quantize(model, everywhere("int4-weight"))
    assert raised.opset_import[0].version == 21 and raised.ir_version == 10


# ── gemm ──


@pytest.mark.parametrize("scheme", list(Scheme)[1:])
@pytest.mark.parametrize("bias", [None, (48,), (1, 48), (1,)])
def test_a_gemm_keeps_its_factors(net, batches, run, scheme, bias):
    graph = net([5, 64])
    sides = [graph.draw("w", 48, 64, scale=0.1), *([] if bias is None else [graph.draw("b", *bias, scale=1)])]
    graph.op("Gemm", "x", *sides, result="y", name="fc", transB=1, alpha=0.5, beta=2.0)
    model = graph.model("y")
    x = batches(model)[0]["x"]
    quantized = quantize(model, everywhere(scheme), calibrate(model, batches(model)))
    assert relative_error(run(quantized, x), run(model, x)) < BOUNDS[scheme]


# ── bad input ──


def test_a_layer_without_range_is_named(encoder):
    with pytest.raises(UsageError, match=r"layer encoder\.0\.ffn\.fc1: int8-static needs") as problem:
        quantize(encoder, QuantPolicy({"encoder.0.ffn.fc1": "int8-static"}), Ranges())
    assert "int8-dynamic" in problem.value.remedy


def test_a_layer_that_is_not_there_is_named(encoder):
    with pytest.raises(UsageError, match=r"no layer or block 'encoder\.7'"):
        quantize(encoder, QuantPolicy({"encoder.7": "int8-dynamic"}))


@pytest.mark.parametrize("scheme", list(Scheme)[1:])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_named(linear, batches, scheme, number):
    model = linear()
    ranges = calibrate(model, batches(model))
    weight = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weight[3, 2] = number
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "fc.weight"))
    with pytest.raises(UsageError, match=r"layer fc: fc\.weight holds NaN or infinite"):
        quantize(model, everywhere(scheme), ranges)


@pytest.mark.parametrize("block_size", [0, 8, 48])
def test_a_block_size_that_no_kernel_takes_is_refused(linear, block_size):
    with pytest.raises(UsageError, match="no power of two"):
        quantize(linear(), everywhere("int4-weight"), block_size=block_size)


def test_a_model_whose_weights_were_not_loaded_is_refused(linear):
    model = linear()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    with pytest.raises(UsageError, match="lies in another file"):
        quantize(model, everywhere("int8-dynamic"))


def test_an_opset_that_cannot_be_raised_is_told(linear):
    model = linear()
    model.opset_import[0].version = 12
    model.graph.node.append(helper.make_node("Upsample", ["x", "scales"], ["z"]))
    with pytest.raises(UsageError, match="needs opset 21"):
        quantize(model, everywhere("int4-weight"))
