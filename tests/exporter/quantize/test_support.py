"""What a runtime cannot run as quantized is a Failure that names the layer; what both can, they compute alike."""

import platform

import numpy as np
import onnx
import pytest

from hwloop.deadline import Deadline
from hwloop.exporter.compile_cache import CompileCache
from hwloop.exporter.model import load_model
from hwloop.exporter.quantize.calibrate import calibrate
from hwloop.exporter.quantize.quantize import quantize
from hwloop.exporter.quantize.support import Unsupported, support_failure, unsupported
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import VERSION, Tvm
from hwloop.records import Artifact, Failure, FailureKind, QuantPolicy, Scheme, Target

HOST = Target(f"{platform.machine()}-linux-gnu", "generic" if platform.machine() == "aarch64" else "x86-64")
BYTES = pytest.mark.parametrize("scheme", [Scheme.INT8_DYNAMIC, Scheme.INT8_STATIC])


def saved(tmp_path, model, rules, batches=()):
    path = tmp_path / "model.onnx"
    onnx.save(quantize(model, QuantPolicy(rules), calibrate(model, batches) if batches else None), path)
    return load_model(path)


# ── what cannot be run ──


def test_gaps_are_told_a_layer_at_a_time():
    kinds = {"stem": "Conv", "fc": "MatMul"}
    four_bits = dict.fromkeys(kinds, Scheme.INT4_WEIGHT)
    assert [gap.layer for gap in unsupported("tvm", four_bits, kinds)] == ["stem", "fc"]
    (gap,) = unsupported("onnxruntime", four_bits, kinds)
    assert isinstance(gap, Unsupported) and (gap.layer, gap.scheme) == ("stem", Scheme.INT4_WEIGHT)
    assert "4-bit kernels for matrix products alone" in gap.why
    for runtime in ("tvm", "onnxruntime"):
        for scheme in (Scheme.FP32, Scheme.INT8_DYNAMIC, Scheme.INT8_STATIC):
            assert unsupported(runtime, dict.fromkeys(kinds, scheme), kinds) == []


def test_tvm_refuses_four_bits_with_the_layers_names(tmp_path, encoder):
    model = saved(tmp_path, encoder, {"encoder.0": "int4-weight"})
    failure = Tvm(CompileCache(tmp_path / "cache")).build(model, HOST, VERSION, Deadline.after(60))
    assert isinstance(failure, Failure) and failure.kind is FailureKind.UNSUPPORTED
    assert "tvm cannot run layers encoder.0.attn.q, encoder.0.attn.k, encoder.0.attn.v and 3 more" in failure.message
    assert "as int4-weight: TVM's ONNX frontend has no DequantizeLinear with blocks" in failure.message
    assert "encoder.0.ffn.fc2: int4-weight" in failure.detail


def test_onnx_runtime_refuses_a_convolution_of_four_bits(tmp_path, cnn):
    model = saved(tmp_path, cnn, {"stages.1": "int4-weight", "head": "int4-weight"})
    failure = OnnxRuntime().build(model, HOST, "1.2.3", Deadline.after(10))
    assert isinstance(failure, Failure) and failure.kind is FailureKind.UNSUPPORTED
    assert failure.message.startswith("onnxruntime cannot run layer stages.1.0.conv as int4-weight: ")


def test_a_convolution_of_four_bits_is_right_all_the_same(cnn, run, batches):
    x = batches(cnn)[0]["x"]
    quantized = quantize(cnn, QuantPolicy({"*": "int4-weight"}))
    assert np.corrcoef(run(quantized, x).ravel(), run(cnn, x).ravel())[0, 1] > 0.9


def test_what_can_be_run_is_built(tmp_path, encoder, batches):
    for rules in ({"*": "int4-weight"}, {"*": "int8-static"}, {}):
        model = saved(tmp_path, encoder, rules, batches(encoder))
        assert isinstance(OnnxRuntime().build(model, HOST, "1.2.3", Deadline.after(10)), Artifact)
    assert support_failure("tvm", quantize(encoder, QuantPolicy({"*": "int8-dynamic"}))) is None


# ── both runtimes compute the same ──


@BYTES
@pytest.mark.parametrize("rank", [2, 3])
def test_a_product_agrees_to_a_quantization_step(linear, batches, run, by_tvm, scheme, rank):
    model = linear(rank=rank)
    x = batches(model)[0]["x"]
    quantized = quantize(model, QuantPolicy({"fc": scheme}), calibrate(model, batches(model)))
    # Of the input, in the result: its range in 255 steps, times a column's largest weight.
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0])
    step = np.ptp(x) / 255 * np.abs(weight).max()
    assert np.abs(by_tvm(quantized, x) - run(quantized, x)).max() <= step


@BYTES
@pytest.mark.parametrize("groups", [1, 8])
def test_a_convolution_agrees_to_a_quantization_step(net, batches, run, by_tvm, scheme, groups):
    graph = net([1, 8, 12, 12])
    model = graph.model(graph.op("Relu", graph.conv("conv", "x", 8, 16, stride=2, groups=groups)))
    x = batches(model)[0]["x"]
    quantized = quantize(model, QuantPolicy({"conv": scheme}), calibrate(model, batches(model)))
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0])
    found, wanted = by_tvm(quantized, x), run(quantized, x)
    step = max(np.ptp(x) / 255 * np.abs(weight).max(), wanted.max() / 255)
    assert np.abs(found - wanted).max() <= 1.01 * step


def test_networks_agree_as_closely_as_with_the_float_one(encoder, batches, run, by_tvm):
    x = batches(encoder)[0]["x"]
    quantized = quantize(encoder, QuantPolicy({"*": "int8-static"}), calibrate(encoder, batches(encoder)))
    wanted = run(quantized, x)
    assert np.linalg.norm(by_tvm(quantized, x) - wanted) / np.linalg.norm(wanted) < 0.05
