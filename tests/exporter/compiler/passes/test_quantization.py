"""Quantizing and dequantizing: arithmetic that rounds as ONNX does, on 8-bit tensors wherever they can stay such."""

import re
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from hwloop.testing.onnx_parity import network

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def quantized(source: str, target: str, name: str = "") -> list[onnx.NodeProto]:
    """Return the nodes that quantize a tensor and dequantize it, by the constants `s` and `z` of some name."""
    parameters = [f"s{name}", f"z{name}"]
    return [
        helper.make_node("QuantizeLinear", [source, *parameters], [f"{target}.q"]),
        helper.make_node("DequantizeLinear", [f"{target}.q", *parameters], [target]),
    ]


def reference(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Return what ONNX Runtime makes of a model word by word."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]


@few
@given(st.sampled_from(["int8", "uint8"]), st.floats(0.001, 3), st.integers(0, 127), st.integers(1, 70))
def test_numbers_are_rounded_to_the_nearest_step_and_kept_in_range(each_integer_cpu, dtype, scale, zero, size):
    x = np.random.default_rng(size).standard_normal((3, size), dtype=np.float32) * 99
    constants = {"s": np.array(scale, "float32"), "z": np.array(zero, dtype)}
    model = network(quantized("x", "y"), x.shape, constants)
    found, _ = each_integer_cpu.run_onnx(model, x)
    steps = np.abs(found - reference(model, x)) / np.float32(scale)
    assert steps.max() < 1.01 and (steps > 0.5).sum() <= 1  # by its inverse, a scale is a unit in the last place off


def test_halves_go_to_the_even_number(each_integer_cpu):
    x = np.arange(-20, 21, dtype=np.float32).reshape(1, -1) / 2
    model = network(quantized("x", "y"), x.shape, {"s": np.float32(1), "z": np.array(3, "int8")})
    found, _ = each_integer_cpu.run_onnx(model, x)
    assert (found == np.round(x)).all()


def test_a_scale_that_is_found_as_it_runs(each_integer_cpu):
    x = np.random.default_rng(0).uniform(-2, 5, (7, 33)).astype("float32")
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    model = network(nodes, x.shape, {})
    found, _ = each_integer_cpu.run_onnx(model, x)
    step = (x.max() - x.min()) / 255
    difference = np.abs(found - reference(model, x))
    assert difference.max() <= step * 1.001 and (difference > step / 2).mean() < 0.01


def test_a_scale_for_each_channel(cpu):
    x = np.random.default_rng(0).standard_normal((2, 5, 7), dtype=np.float32)
    scales = np.linspace(0.01, 0.1, 5, dtype=np.float32)
    model = network(quantized("x", "y"), x.shape, {"s": scales, "z": np.arange(5).astype("uint8")})
    found, _ = cpu.run_onnx(model, x)
    assert (np.abs(found - reference(model, x)) <= scales[:, None] * 1.001).all()


def kernels(compiled: Any) -> list[str]:
    return [*compiled.scheduled, *compiled.unscheduled]


def quantizations(compiled: Any) -> int:
    """Return how many there are in all kernels, tables included."""
    return sum(len(re.findall("(?<!de)quantize|look_up", name)) for name in kernels(compiled))


def test_a_quantization_that_undoes_one_before_it_goes(cpu):
    constants = {"s": np.float32(0.1), "z": np.uint8(100), "shape": np.array([6, 35])}
    nodes = [*quantized("x", "a"), helper.make_node("Reshape", ["a", "shape"], ["b"]), *quantized("b", "y")]
    x = np.random.default_rng(0).standard_normal((3, 70), dtype=np.float32)
    model = network(nodes, x.shape, constants)
    found, compiled = cpu.run_onnx(model, x)
    np.testing.assert_allclose(found, reference(model, x), atol=1e-6)
    assert quantizations(compiled) == 1


def test_one_of_another_scale_stays(cpu):
    constants = {"s": np.float32(0.1), "z": np.uint8(100), "s2": np.float32(0.3), "z2": np.uint8(100)}
    x = np.random.default_rng(0).standard_normal((3, 70), dtype=np.float32)
    model = network([*quantized("x", "a"), *quantized("a", "y", "2")], x.shape, constants)
    found, compiled = cpu.run_onnx(model, x)
    np.testing.assert_allclose(found, reference(model, x), atol=1e-6)
    assert quantizations(compiled) == 2


def test_heads_are_taken_from_the_8_bit_tensor(cpu):
    """As in attention: one quantized tensor, reshaped, transposed and split into parts that are multiplied."""
    constants = {"s": np.float32(0.03), "z": np.uint8(128), "shape": np.array([9, 3, 2, 8])}
    constants |= {f"i{part}": np.array(part) for part in range(2)}
    nodes = [
        *quantized("x", "d"),
        helper.make_node("Reshape", ["d", "shape"], ["r"]),
        helper.make_node("Transpose", ["r"], ["t"], perm=[1, 2, 0, 3]),
        helper.make_node("Gather", ["t", "i0"], ["q"], axis=0),
        helper.make_node("Gather", ["t", "i1"], ["k"], axis=0),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["y"]),
    ]
    x = np.random.default_rng(0).standard_normal((9, 48), dtype=np.float32)
    model = network(nodes, x.shape, constants)
    found, compiled = cpu.run_onnx(model, x)
    np.testing.assert_allclose(found, reference(model, x), rtol=1e-5, atol=1e-5)
    # The bytes are made once, and then multiplied.
    assert sorted(compiled.scheduled.values()) == ["elementwise", "integer matmul"]
    assert not any("transpose" in name or "take" in name for name in kernels(compiled))


def test_what_is_read_in_float_stays_right(cpu):
    constants = {"s": np.float32(0.03), "z": np.uint8(128), "one": np.float32(1)}
    nodes = [*quantized("x", "a"), helper.make_node("Softmax", ["a"], ["b"], axis=-1), *quantized("b", "c", "2")]
    nodes += [helper.make_node("Add", ["a", "c"], ["d"]), *quantized("d", "y")]
    constants |= {"s2": np.float32(1 / 255), "z2": np.uint8(0)}
    x = np.random.default_rng(0).standard_normal((5, 40), dtype=np.float32)
    model = network(nodes, x.shape, constants)
    found, _ = cpu.run_onnx(model, x)
    difference = np.abs(found - reference(model, x))
    assert difference.max() < 0.0301 and (difference > 0.015).mean() < 0.01


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("size", [1, 37, 200])
def test_a_quantized_gelu_is_looked_up(each_integer_cpu, dtype, size):
    constants = {"s": np.float32(0.04), "z": np.array(60, dtype), "r": np.float32(2**0.5), "h": np.float32(0.5)}
    constants |= {"s2": np.float32(0.01), "z2": np.array(100, dtype), "one": np.array(127, dtype)}
    constants |= {"so": np.float32(1 / 67), "zo": np.array(60, dtype)}
    nodes = [
        helper.make_node("DequantizeLinear", ["one", "so", "zo"], ["1"]),
        *quantized("x", "a"),
        helper.make_node("Div", ["a", "r"], ["b"]),
        helper.make_node("Erf", ["b"], ["e"]),
        *quantized("e", "f", "2"),
        helper.make_node("Add", ["f", "1"], ["g"]),
        *quantized("g", "i"),
        helper.make_node("Mul", ["a", "i"], ["j"]),
        *quantized("j", "k"),
        helper.make_node("Mul", ["k", "h"], ["l"]),
        *quantized("l", "y"),
    ]
    x = np.random.default_rng(0).standard_normal((3, size), dtype=np.float32) * 3
    model = network(nodes, x.shape, constants)
    found, compiled = each_integer_cpu.run_onnx(model, x)
    np.testing.assert_allclose(found, reference(model, x), atol=1e-6)
    assert sum("look_up" in name for name in kernels(compiled)) == 1 and quantizations(compiled) == 2


def test_a_sum_of_two_tensors_is_not_looked_up(cpu):
    constants = {"s": np.float32(0.04), "z": np.uint8(60), "s2": np.float32(0.1), "z2": np.uint8(99)}
    nodes = [
        *quantized("x", "a"),
        helper.make_node("Softmax", ["a"], ["b"]),
        *quantized("b", "c"),
        helper.make_node("Tanh", ["a"], ["t"]),
        helper.make_node("Add", ["t", "c"], ["d"]),
        *quantized("d", "y", "2"),
    ]
    x = np.random.default_rng(0).standard_normal((3, 40), dtype=np.float32)
    model = network(nodes, x.shape, constants)
    found, compiled = cpu.run_onnx(model, x)
    assert np.abs(found - reference(model, x)).max() < 0.1001
    assert not any("look_up" in name for name in kernels(compiled))
