"""Products of bytes: exact whatever the numbers, with the instruction that the CPU has, scaled on their tile."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from hwloop.records import Target

few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
types = st.sampled_from(["int8", "uint8"])


def model_of(nodes: Sequence[onnx.NodeProto], inputs: Mapping[str, np.ndarray], constants: Mapping[str, Any]) -> Any:
    """Return a model of nodes from some inputs, of which only type and shape count, to `y`."""
    known = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    given = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in inputs.items()
    ]
    result = helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)
    graph = helper.make_graph(nodes, "graph", given, [result], known)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def product(a: np.ndarray, b: np.ndarray, zeros: tuple[Any, Any], constant: bool = True) -> Any:
    """Return a model of one MatMulInteger whose right side is a constant, or a second input."""
    sides = {"b": b}
    zero_points = {"az": np.array(zeros[0], a.dtype), "bz": np.array(zeros[1], b.dtype)}
    node = helper.make_node("MatMulInteger", ["a", "b", "az", "bz"], ["y"])
    return model_of([node], {"a": a, **({} if constant else sides)}, {**zero_points, **(sides if constant else {})})


def numbers(random: np.random.Generator, dtype: str, *shape: int) -> np.ndarray:
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def exact(a: np.ndarray, b: np.ndarray, zeros: tuple[Any, Any]) -> np.ndarray:
    return np.matmul(a.astype("int32") - np.int32(zeros[0]), b.astype("int32") - np.asarray(zeros[1], "int32"))


@few
@given(st.data(), types, types, st.booleans(), st.booleans())
def test_every_sum_is_exact(each_integer_cpu, data, left, right, constant, per_column):
    rows, columns, depth = (data.draw(st.integers(1, most)) for most in (30, 70, 70))
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    a, b = numbers(random, left, rows, depth), numbers(random, right, depth, columns)
    zeros = numbers(random, left), numbers(random, right, *([columns] if per_column and constant else []))
    model = product(a, b, zeros, constant)
    found, compiled = each_integer_cpu.run_onnx(model, a, *([] if constant else [b]))
    assert (found == exact(a, b, zeros)).all()
    assert list(compiled.scheduled.values()) == ["integer matmul"]


@pytest.mark.parametrize("left", ["int8", "uint8"])
@pytest.mark.parametrize("right", [-128, 127])
def test_the_largest_numbers_saturate_nothing(each_integer_cpu, left, right):
    limits = np.iinfo(left)
    for number, zero in ((limits.max, limits.min), (limits.min, limits.max), (limits.max, 0)):
        a, b = np.full((5, 67), number, left), np.full((67, 33), right, "int8")
        found, _ = each_integer_cpu.run_onnx(product(a, b, (zero, 0)), a)
        assert (found == exact(a, b, (zero, 0))).all()


@pytest.mark.parametrize("constant", [True, False])
def test_batches(each_integer_cpu, constant):
    random = np.random.default_rng(0)
    a, b = numbers(random, "uint8", 2, 3, 17, 20), numbers(random, "int8", 2, 3, 20, 37)
    found, compiled = each_integer_cpu.run_onnx(product(a, b, (7, 0), constant), a, *([] if constant else [b]))
    assert (found == exact(a, b, (7, 0))).all()
    assert list(compiled.scheduled.values()) == ["integer matmul"]


def test_cores_share_a_large_product(cpu):
    random = np.random.default_rng(0)
    a, b = numbers(random, "int8", 99, 130), numbers(random, "int8", 130, 200)
    found, _ = cpu.on(4).run_onnx(product(a, b, (-3, 0)), a)
    assert (found == exact(a, b, (-3, 0))).all()


@pytest.mark.parametrize(
    ("target", "instruction"),
    [
        (Target("x86_64-linux-gnu", "x86-64-v4", ("+avx512vnni",)), "vpdpbusd"),
        (Target("x86_64-linux-gnu", "x86-64-v3", ("+avxvnni",)), "vpdpbusd"),
        (Target("x86_64-linux-gnu", "x86-64-v4"), "vpmaddwd"),
        (Target("x86_64-linux-gnu", "x86-64-v3"), "vpmaddwd"),
        (Target("x86_64-linux-gnu", "x86-64-v2"), "pmaddwd"),
        (Target("aarch64-linux-gnu", "neoverse-n1", ("+neon", "+dotprod")), "sdot"),
        (Target("aarch64-linux-gnu", "cortex-a76", ("+neon", "+dotprod")), "sdot"),
        (Target("aarch64-linux-gnu", "cortex-a72", ("+neon",)), "smlal"),
        (Target("aarch64-linux-gnu", "cortex-a53", ("+neon",)), "smlal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_instruction_is_the_best_that_the_cpu_has(compiler_for, target, instruction):
    b = numbers(np.random.default_rng(0), "int8", 64, 96)
    words = compiler_for(target).assembly_of_onnx(product(np.zeros((32, 64), "uint8"), b, (128, 0))).split()
    assert words.count(instruction) >= 8
    assert "vpmaddubsw" not in words


def quantized_layer(a: Any, left: str, weight: Any, scales: Any, zeros: Any, bias: Any = None, **more: Any) -> Any:
    """Return a QDQ linear layer: quantize, dequantize, MatMul or Gemm, perhaps a bias and a ReLU, and so on again."""
    axis = {"axis": 0 if more.get("gemm") else 1} if np.ndim(scales) else {}
    constants = {
        "xs": np.float32(0.031),
        "xz": np.array(more.get("zero", 3), left),
        "w": weight,
        "ws": np.float32(scales),
        "wz": np.array(zeros, weight.dtype),
        "ys": np.float32(more.get("out_scale", 0.05)),
        "yz": np.array(4, left),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], **axis),
    ]
    last = "p"
    if more.get("gemm"):
        constants["b"] = bias
        nodes.append(helper.make_node("Gemm", ["xd", "wd", "b"], [last], transB=1))
    else:
        nodes.append(helper.make_node("MatMul", ["xd", "wd"], [last]))
        if bias is not None:
            constants["b"] = bias
            nodes.append(helper.make_node("Add", [last, "b"], ["s"]))
            last = "s"
    if more.get("relu"):
        nodes.append(helper.make_node("Relu", [last], ["r"]))
        last = "r"
    nodes += [
        helper.make_node("QuantizeLinear", [last, "ys", "yz"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "ys", "yz"], ["y"]),
    ]
    return model_of(nodes, {"x": a}, constants)


def session(model: onnx.ModelProto) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def within_one_step(found: Any, wanted: Any, step: float) -> None:
    steps = np.abs(found - wanted) / step
    assert steps.max() < 1.001 and (steps > 0.5).mean() < 1e-2


@pytest.mark.parametrize("left", ["int8", "uint8"])
@pytest.mark.parametrize("zero", [0, 100])
@pytest.mark.parametrize("weights", ["per tensor", "per channel", "asymmetric"])
@pytest.mark.parametrize("gemm", [True, False])
def test_a_quantized_layer_is_one_product_that_agrees_with_onnx_runtime(each_integer_cpu, left, zero, weights, gemm):
    random = np.random.default_rng(1)
    rows, depth, columns = 21, 50, 43
    x = random.standard_normal((rows, depth), dtype=np.float32)
    weight = numbers(
        random, "uint8" if weights == "asymmetric" else "int8", *((columns, depth) if gemm else (depth, columns))
    )
    scales = random.uniform(0.001, 0.02, columns) if weights == "per channel" else 0.01
    zeros = 77 if weights == "asymmetric" else np.zeros(np.shape(scales))
    bias = random.standard_normal(columns, dtype=np.float32)
    model = quantized_layer(x, left, weight, scales, zeros, bias, gemm=gemm, zero=zero, relu=True)
    found, compiled = each_integer_cpu.run_onnx(model, x)
    within_one_step(found, session(model).run(None, {"x": x})[0], 0.05)
    assert "integer matmul" in compiled.scheduled.values() and "matmul" not in compiled.scheduled.values()


def test_a_dynamically_quantized_layer_agrees_with_onnx_runtime(each_integer_cpu):
    random = np.random.default_rng(1)
    x = random.standard_normal((3, 21, 50), dtype=np.float32)
    weight, scales = numbers(random, "int8", 50, 43), random.uniform(0.001, 0.02, 43).astype("float32")
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z", "wz"], ["p"]),
        helper.make_node("Cast", ["p"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["s", "ws"], ["scale"]),
        helper.make_node("Mul", ["f", "scale"], ["y"]),
    ]
    constants = {"w": weight, "ws": scales, "wz": np.zeros(43, "int8")}
    model = model_of(nodes, {"x": x}, constants)
    found, compiled = each_integer_cpu.run_onnx(model, x)
    wanted = session(model).run(None, {"x": x})[0]
    step = (x.max() - x.min()) / 255 * scales * 127
    assert (np.abs(found - wanted) <= step).all()
    assert "integer matmul" in compiled.scheduled.values()


def test_attention_multiplies_bytes_too(each_integer_cpu):
    random = np.random.default_rng(1)
    q, k = (random.standard_normal((2, 3, 17, 20), dtype=np.float32) for _ in range(2))
    constants = {"s": np.float32(0.03), "z": np.uint8(128), "ys": np.float32(0.2)}
    nodes = [
        helper.make_node("QuantizeLinear", ["q", "s", "z"], ["qq"]),
        helper.make_node("DequantizeLinear", ["qq", "s", "z"], ["qd"]),
        helper.make_node("QuantizeLinear", ["k", "s", "z"], ["kq"]),
        helper.make_node("DequantizeLinear", ["kq", "s", "z"], ["kd"]),
        helper.make_node("Transpose", ["kd"], ["kt"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["qd", "kt"], ["p"]),
        helper.make_node("QuantizeLinear", ["p", "ys", "z"], ["pq"]),
        helper.make_node("DequantizeLinear", ["pq", "ys", "z"], ["y"]),
    ]
    model = model_of(nodes, {"q": q, "k": k}, constants)
    found, compiled = each_integer_cpu.run_onnx(model, q, k)
    within_one_step(found, session(model).run(None, {"q": q, "k": k})[0], 0.2)
    assert "integer matmul" in compiled.scheduled.values() and "matmul" not in compiled.scheduled.values()


def test_equal_layers_of_other_scales_share_one_kernel(cpu):
    random = np.random.default_rng(1)
    constants, nodes, last = {}, [], "x"
    for layer in range(4):
        constants |= {f"w{layer}": numbers(random, "int8", 24, 24), f"ws{layer}": np.float32(0.01 + layer)}
        constants |= {f"s{layer}": np.float32(0.05 * (layer + 1)), f"z{layer}": np.uint8(3 + layer)}
        nodes += [
            helper.make_node("QuantizeLinear", [last, f"s{layer}", f"z{layer}"], [f"q{layer}"]),
            helper.make_node("DequantizeLinear", [f"q{layer}", f"s{layer}", f"z{layer}"], [f"d{layer}"]),
            helper.make_node("DequantizeLinear", [f"w{layer}", f"ws{layer}"], [f"wd{layer}"]),
            helper.make_node("MatMul", [f"d{layer}", f"wd{layer}"], [f"p{layer}"]),
        ]
        last = f"p{layer}"
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    x = random.standard_normal((7, 24), dtype=np.float32)
    _, compiled = cpu.run_onnx(model_of(nodes, {"x": x}, constants), x)
    assert (
        list(compiled.scheduled.values()).count("integer matmul") == 2
    )  # one quantizes for the next, the last does not
