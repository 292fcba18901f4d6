"""Convolutions of bytes: products whose rows are the places of the result, exact as those are."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
types = st.sampled_from(["int8", "uint8"])


def model_of(nodes: list[onnx.NodeProto], x: np.ndarray, constants: dict[str, Any]) -> Any:
    known = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    given = helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
    result = helper.make_tensor_value_info("y", onnx.TensorProto.UNDEFINED, None)
    graph = helper.make_graph(nodes, "graph", [given], [result], known)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def numbers(random: np.random.Generator, dtype: str, *shape: int) -> np.ndarray:
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def reference(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def convolved(x: np.ndarray, w: np.ndarray, stride: int, pad: int, dilation: int, groups: int) -> np.ndarray:
    """Return a convolution of whole numbers, one place of the kernel after the other."""
    x = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    out, each, kernel, _ = w.shape
    size = [(length - dilation * (kernel - 1) - 1) // stride + 1 for length in x.shape[2:]]
    x = x.reshape(x.shape[0], groups, each, *x.shape[2:])
    w = w.reshape(groups, out // groups, each, kernel, kernel)
    total = np.zeros((x.shape[0], groups, out // groups, *size), "int64")
    for down in range(kernel):
        for across in range(kernel):
            rows = slice(down * dilation, down * dilation + stride * (size[0] - 1) + 1, stride)
            columns = slice(across * dilation, across * dilation + stride * (size[1] - 1) + 1, stride)
            total += np.einsum("ngcyx,goc->ngoyx", x[..., rows, columns], w[..., down, across])
    return total.reshape(x.shape[0], out, *size)


@few
@given(st.data(), types, types)
def test_every_sum_is_exact(each_integer_cpu, data, left, right):
    channels, out, kernel = (data.draw(st.integers(1, most)) for most in (20, 40, 3))
    stride, pad, dilation = (data.draw(st.integers(*range)) for range in ((1, 2), (0, kernel - 1), (1, 2)))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, w = numbers(random, left, 1, channels, 7, 6), numbers(random, right, out, channels, kernel, kernel)
    zeros = numbers(random, left), numbers(random, right)
    node = helper.make_node(
        "ConvInteger", ["x", "w", "xz", "wz"], ["y"], strides=[stride] * 2, pads=[pad] * 4, dilations=[dilation] * 2
    )
    model = model_of([node], x, {"w": w, "xz": zeros[0], "wz": zeros[1]})
    found, compiled = each_integer_cpu.run_onnx(model, x)
    wanted = convolved(x.astype("int64") - zeros[0], w.astype("int64") - zeros[1], stride, pad, dilation, 1)
    assert (found == wanted).all()
    assert "integer matmul" in compiled.scheduled.values()


@pytest.mark.parametrize("groups", [3, 12])
def test_groups_are_exact_too(cpu, groups):
    random = np.random.default_rng(0)
    x, w = numbers(random, "uint8", 1, 12, 8, 9), numbers(random, "int8", 12, 12 // groups, 3, 3)
    node = helper.make_node("ConvInteger", ["x", "w", "z"], ["y"], pads=[1] * 4, group=groups)
    found, _ = cpu.run_onnx(model_of([node], x, {"w": w, "z": np.uint8(9)}), x)
    assert (found == convolved(x.astype("int64") - 9, w.astype("int64"), 1, 1, 1, groups)).all()


def test_a_zero_point_for_each_channel_of_the_weights(cpu):
    random = np.random.default_rng(0)
    x, w, zeros = numbers(random, "uint8", 1, 5, 8, 9), numbers(random, "int8", 6, 5, 3, 3), numbers(random, "int8", 6)
    node = helper.make_node("ConvInteger", ["x", "w", "z", "wz"], ["y"])
    found, _ = cpu.run_onnx(model_of([node], x, {"w": w, "z": np.uint8(9), "wz": zeros}), x)
    shifted = w.astype("int64") - zeros.reshape(-1, 1, 1, 1)
    assert (found == convolved(x.astype("int64") - 9, shifted, 1, 0, 1, 1)).all()


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (4, 4, 1), (3, 1, 8)])
def test_quantized_layers_agree_with_onnx_runtime(each_integer_cpu, kernel, stride, groups):
    random = np.random.default_rng(0)
    x = random.standard_normal((1, 8, 12, 12), dtype=np.float32)
    scales = random.uniform(0.002, 0.01, 24).astype("float32")
    constants = {"xs": np.float32(0.03), "xz": np.uint8(120), "ys": np.float32(0.05), "yz": np.uint8(10)}
    constants |= {
        "w": numbers(random, "int8", 24, 8 // groups, kernel, kernel),
        "ws": scales,
        "wz": np.zeros(24, "int8"),
    }
    constants |= {"b": random.integers(-999, 999, 24).astype("int32"), "bs": scales * np.float32(0.03)}
    constants |= {"bz": np.zeros(24, "int32")}
    pad = kernel // 2 if kernel == 3 else 0
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs", "bz"], ["bd"], axis=0),
        helper.make_node("Conv", ["xd", "wd", "bd"], ["c"], strides=[stride] * 2, pads=[pad] * 4, group=groups),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "ys", "yz"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "ys", "yz"], ["y"]),
    ]
    model = model_of(nodes, x, constants)
    found, compiled = each_integer_cpu.run_onnx(model, x)
    steps = np.abs(found - reference(model, x)) / 0.05
    assert steps.max() < 1.001 and (steps > 0.5).mean() < 1e-2
    assert ("integer matmul" in compiled.scheduled.values()) == (groups == 1)
