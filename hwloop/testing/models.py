"""Small ONNX files for tests and benchmarks, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 9


def perceptron(path: Path, widths: Sequence[int] = (64, 128, 32), rows: int = 8, seed: int = 0) -> Path:
    """Write x[rows, widths[0]] → layers of MatMul and Relu → [rows, widths[-1]]."""
    random = np.random.default_rng(seed)
    nodes, weights, value = [], [], "x"
    for layer, (before, after) in enumerate(pairwise(widths)):
        weight = random.standard_normal((before, after), dtype=np.float32) / np.float32(np.sqrt(before))
        weights.append(numpy_helper.from_array(weight, f"w{layer}"))
        nodes.append(helper.make_node("MatMul", [value, f"w{layer}"], [f"h{layer}"]))
        nodes.append(helper.make_node("Relu", [f"h{layer}"], [f"a{layer}"]))
        value = f"a{layer}"
    return save(path, nodes, [floats("x", [rows, widths[0]])], [floats(value, [rows, widths[-1]])], weights)


def conv_net(path: Path, channels: int = 16, size: int = 32, seed: int = 0) -> Path:
    """Write x[1, 3, size, size] → two 3x3 convolutions with Relu → global average → [1, channels, 1, 1]."""
    random = np.random.default_rng(seed)
    weights = [
        numpy_helper.from_array(random.standard_normal((channels, inputs, 3, 3), dtype=np.float32) / 8, f"w{layer}")
        for layer, inputs in enumerate((3, channels))
    ]
    pads = [1, 1, 1, 1]
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["c0"], pads=pads),
        helper.make_node("Relu", ["c0"], ["a0"]),
        helper.make_node("Conv", ["a0", "w1"], ["c1"], pads=pads),
        helper.make_node("Relu", ["c1"], ["a1"]),
        helper.make_node("GlobalAveragePool", ["a1"], ["y"]),
    ]
    return save(path, nodes, [floats("x", [1, 3, size, size])], [floats("y", [1, channels, 1, 1])], weights)


def embedding(path: Path, rows: int = 50, width: int = 16, seed: int = 0) -> Path:
    """Write ids[batch, length] → the rows of a table → [batch, length, width]; both sizes are symbolic."""
    table = np.random.default_rng(seed).standard_normal((rows, width), dtype=np.float32)
    nodes = [helper.make_node("Gather", ["table", "ids"], ["y"])]
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])
    output = floats("y", ["batch", "length", width])
    return save(path, nodes, [ids], [output], [numpy_helper.from_array(table, "table")])


def lstm(path: Path, width: int = 8, hidden: int = 4, seed: int = 0) -> Path:
    """Write x[length 5, batch 1, width] → LSTM → its last state; TVM's frontend has no LSTM."""
    random = np.random.default_rng(seed)
    weights = [
        numpy_helper.from_array(random.standard_normal((1, 4 * hidden, size), dtype=np.float32), name)
        for name, size in (("w", width), ("r", hidden))
    ]
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["", "y"], hidden_size=hidden)]
    return save(path, nodes, [floats("x", [5, 1, width])], [floats("y", [1, 1, hidden])], weights)


def floats(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """Return the description of a float32 tensor."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: Sequence[onnx.TensorProto] = (),
) -> Path:
    """Write a model of these parts and return its path."""
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(weights))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION), path)
    return path
