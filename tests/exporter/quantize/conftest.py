"""Small named networks, as hwloop's own exporter writes them, and running them."""

import platform
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import tvm
from onnx import TensorProto, helper, numpy_helper
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from hwloop.exporter.compiler.machine import machine_for
from hwloop.exporter.compiler.pipeline import compile_module
from hwloop.exporter.integer_convolutions import spell_out_convolutions
from hwloop.records import Target

HOST = Target(f"{platform.machine()}-linux-gnu", "generic" if platform.machine() == "aarch64" else "x86-64")
ENCODER = [f"encoder.0.{name}" for name in ("attn.q", "attn.k", "attn.v", "attn.out", "ffn.fc1", "ffn.fc2")]


class Net:
    """A graph that grows node by node from one input; weights are named after their layer."""

    def __init__(self, shape: Sequence[int | str], seed: int = 0) -> None:
        self.shape, self.random = list(shape), np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, array: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def draw(self, name: str, *shape: int, scale: float) -> str:
        return self.constant(name, self.random.standard_normal(shape, dtype=np.float32) * np.float32(scale))

    def op(self, kind: str, *inputs: str, name: str = "", result: str = "", **attributes: Any) -> str:
        result = result or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [result], name=name, **attributes))
        return result

    def linear(self, name: str, value: str, before: int, after: int) -> str:
        product = self.op("MatMul", value, self.draw(f"{name}.weight", before, after, scale=before**-0.5), name=name)
        return self.op("Add", product, self.draw(f"{name}.bias", after, scale=0.1), name=f"{name}/bias")

    def conv(self, name: str, value: str, before: int, after: int, kernel: int = 3, stride: int = 1, groups: int = 1):
        fan = before // groups * kernel**2
        weight = self.draw(f"{name}.weight", after, before // groups, kernel, kernel, scale=(2 / fan) ** 0.5)
        sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4, "group": groups}
        return self.op("Conv", value, weight, self.draw(f"{name}.bias", after, scale=0.1), name=name, **sizes)

    def model(self, *outputs: str, opset: int = 21) -> onnx.ModelProto:
        known = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "graph", [known], results, self.constants)
        domains = {"": opset, **{node.domain: 1 for node in self.nodes if node.domain}}
        imports = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
        model = helper.make_model(graph, opset_imports=imports, ir_version=10)
        return onnx.shape_inference.infer_shapes(model)


@pytest.fixture
def net() -> Callable[..., Net]:
    """Return what starts a graph of an input `x` of a shape."""
    return Net


@pytest.fixture
def linear(net) -> Callable[..., onnx.ModelProto]:
    """Return a function that makes one layer `fc`."""

    def make(rows=5, before=64, after=48, seed=0, rank=3):
        graph = net([2, rows, before] if rank == 3 else [rows, before], seed)
        return graph.model(graph.linear("fc", "x", before, after))

    return make


@pytest.fixture
def encoder(net) -> onnx.ModelProto:
    """Return an encoder layer of a transformer, and a head: query, key and value read one tensor."""
    graph, width, heads = net([1, 9, 64]), 64, 4
    norm = [graph.constant("norm.weight", np.ones(width, np.float32)), graph.draw("norm.bias", width, scale=0.1)]
    value = graph.op("LayerNormalization", "x", *norm)
    split, joined = graph.constant("split", np.array([1, 9, heads, -1])), graph.constant("joined", np.array([1, 9, -1]))
    parts = [graph.op("Reshape", graph.linear(name, value, width, width), split) for name in ENCODER[:3]]
    query, key, values = (
        graph.op("Transpose", part, perm=turn)
        for part, turn in zip(parts, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
    )
    mixed = graph.op("MatMul", graph.op("Softmax", graph.op("MatMul", query, key)), values, name="mix")
    mixed = graph.op("Reshape", graph.op("Transpose", mixed, perm=[0, 2, 1, 3]), joined)
    value = graph.op("Add", "x", graph.linear(ENCODER[3], mixed, width, width))
    inner = graph.op("Relu", graph.linear(ENCODER[4], value, width, 160))
    value = graph.op("Add", value, graph.linear(ENCODER[5], inner, 160, width))
    first = graph.op("Gather", value, graph.constant("first", np.array(0)), axis=1)
    weights = graph.draw("head.fc.weight", 10, width, scale=0.1), graph.draw("head.fc.bias", 10, scale=0.1)
    return graph.model(graph.op("Gemm", first, *weights, name="head.fc", transB=1))


@pytest.fixture
def cnn(net) -> onnx.ModelProto:
    """Return a convolutional network: a pooling, a block with a shortcut and a depthwise convolution, a head."""
    graph, width = net([1, 3, 32, 32]), 16
    value = graph.op("Relu", graph.conv("stem", "x", 3, width, 3, 2))
    value = graph.op("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2])
    inner = graph.op("Relu", graph.conv("stages.0.0.reduce", value, width, width, 1))
    inner = graph.op("Relu", graph.conv("stages.0.0.depthwise", inner, width, width, 3, groups=width))
    inner = graph.conv("stages.0.0.expand", inner, width, width, 1)
    value = graph.op("Relu", graph.op("Add", inner, value))
    value = graph.op("Relu", graph.conv("stages.1.0.conv", value, width, 32))
    flat = graph.op("Flatten", graph.op("GlobalAveragePool", value))
    weights = graph.draw("head.weight", 10, 32, scale=0.2), graph.draw("head.bias", 10, scale=0.1)
    return graph.model(graph.op("Gemm", flat, *weights, name="head", transB=1))


@pytest.fixture
def batches() -> Callable[..., list[dict[str, np.ndarray]]]:
    """Return a function that gives some inputs of a model of one input `x`."""

    def make(model: onnx.ModelProto, count: int = 4) -> list[dict[str, np.ndarray]]:
        shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
        return [{"x": np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)} for seed in range(count)]

    return make


@pytest.fixture
def run() -> Callable[..., np.ndarray]:
    """Return a function that gives the first output that ONNX Runtime computes."""

    def compute(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {"x": x})[0]

    return compute


@pytest.fixture
def by_tvm() -> Callable[..., np.ndarray]:
    """Return a function that gives the output that TVM computes with hwloop's passes."""

    def compute(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
        model = onnx.load_from_string(model.SerializeToString())
        spell_out_convolutions(model.graph)
        target = tvm.target.Target({"kind": "llvm", "mtriple": HOST.triple, "mcpu": HOST.cpu, "num-cores": 1})
        compiled = compile_module(from_onnx(model, keep_params_in_input=False), target, machine_for(HOST))
        return relax.VirtualMachine(compiled.executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()

    return compute


@pytest.fixture
def kernels(tmp_path) -> Callable[..., list[str]]:
    """Return a function that gives the operators that ONNX Runtime really runs for a model."""

    def optimize(model: onnx.ModelProto) -> list[str]:
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        options.log_severity_level = 3  # that the file is for this machine alone is no news
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]

    return optimize
