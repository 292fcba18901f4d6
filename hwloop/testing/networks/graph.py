"""Writing an ONNX graph node by node."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 9


class Graph:
    """A graph that grows; methods return the names of tensors, and weights are drawn from `seed`."""

    def __init__(self, seed: int, opset: int) -> None:
        self._random = np.random.default_rng(seed)
        self._opset = opset
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._names = 0

    def input(self, name: str, shape: Sequence[int], integers: bool = False) -> str:
        """Add an input of float32, or int64."""
        kind = TensorProto.INT64 if integers else TensorProto.FLOAT
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def constant(self, value: Any) -> str:
        """Add a constant; Python's integers become int64, its floats float32."""
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        name = self._name("c")
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape: int, scale: float) -> str:
        """Add numbers from N(0, scale²)."""
        return self.constant(self._random.standard_normal(shape, dtype=np.float32) * np.float32(scale))

    def near_one(self, *shape: int) -> str:
        """Add numbers from N(1, 0.1²), as a trained norm's weights are."""
        return self.constant(1 + self._random.standard_normal(shape, dtype=np.float32) * np.float32(0.1))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with some outputs."""
        names = [self._name("t") for _ in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def reshape(self, value: str, *shape: int) -> str:
        """Add a Reshape."""
        return self.op("Reshape", value, self.constant(list(shape)))

    def linear(self, value: str, before: int, after: int) -> str:
        """Add a linear layer as exporters write it for more than two dimensions: MatMul and Add."""
        product = self.op("MatMul", value, self.weight(before, after, scale=before**-0.5))
        return self.op("Add", product, self.weight(after, scale=0.1))

    def classifier(self, value: str, before: int, classes: int) -> str:
        """Add a linear layer as exporters write it for two dimensions: Gemm with transposed weights."""
        weight = self.weight(classes, before, scale=before**-0.5)
        return self.op("Gemm", value, weight, self.weight(classes, scale=0.1), transB=1)

    def conv(
        self, value: str, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1, gain: float = 2.0
    ) -> str:
        """Add a convolution whose batch norm was folded, padded so that stride 1 keeps the size.

        With a `gain` of 2 and a ReLU behind it, numbers of variance 1 come out as such.
        """
        fan = before // groups * kernel * kernel
        weight = self.weight(after, before // groups, kernel, kernel, scale=(gain / fan) ** 0.5)
        sizes = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "dilations": [1, 1]}
        pads = [(kernel - 1) // 2] * 4
        return self.op("Conv", value, weight, self.weight(after, scale=0.1), pads=pads, group=groups, **sizes)

    def save(self, path: Path, *outputs: str) -> Path:
        """Write the model and return its path."""
        kinds = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self._nodes, "graph", self._inputs, kinds, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._opset)], ir_version=IR_VERSION)
        onnx.save(onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True), path)
        return path

    def _name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}{self._names}"
