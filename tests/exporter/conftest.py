"""Small ONNX models, made as they are needed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return a function that writes a model of nodes, inputs {name: (type, shape)} and constants {name: array}."""

    def write(nodes, inputs, outputs, constants=None, name="model.onnx", opset=17, ir_version=8, **more):
        graph = helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in outputs.items()],
            [numpy_helper.from_array(array, key) for key, array in (constants or {}).items()],
        )
        imports = [helper.make_opsetid("", opset), *more.get("imports", ())]
        model = helper.make_model(graph, opset_imports=imports, ir_version=ir_version)
        path = tmp_path / name
        onnx.save(model, path, **more.get("save", {}))
        return path

    return write


@pytest.fixture
def relu(save: Save) -> Callable[..., Path]:
    """Return a function that writes a one-node model of a float input of the given shape."""

    def write(shape=(2, 3), kind=TensorProto.FLOAT, **more):
        return save([helper.make_node("Relu", ["x"], ["y"])], {"x": (kind, shape)}, {"y": (kind, shape)}, **more)

    return write


@pytest.fixture
def convnet(save: Save) -> Path:
    """Return a convolution, a pooling and a matrix product, with weights."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
    ]
    constants = {
        "kernel": random.standard_normal((8, 3, 3, 3), dtype=np.float32),
        "weights": random.standard_normal((8, 5), dtype=np.float32),
    }
    return save(
        nodes,
        {"image": (TensorProto.FLOAT, ["batch", 3, 16, 16])},
        {"scores": (TensorProto.FLOAT, ["batch", 5]), "pooled": (TensorProto.FLOAT, ["batch", 8, 1, 1])},
        constants,
        name="convnet.onnx",
    )


@pytest.fixture
def lstm(save: Save) -> Path:
    """Return an LSTM, which TVM's frontend does not know."""
    constants = {"w": np.ones((1, 16, 3), np.float32), "r": np.ones((1, 16, 4), np.float32)}
    return save(
        [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=4)],
        {"x": (TensorProto.FLOAT, [5, 1, 3])},
        {"y": (TensorProto.FLOAT, [5, 1, 1, 4])},
        constants,
        name="lstm.onnx",
    )
