"""An ONNX graph that grows node by node, with names after the modules that compute them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from hwloop.exporter.numpy_types import numpy_type
from hwloop.records import TensorSpec

OPSET = 21  # the first with 4-bit weights in blocks
IR_VERSION = 10


class Graph:
    """Nodes and constants in the order in which they were written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self._taken: Counter[str] = Counter()
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def node(self, operator: str, inputs: Sequence[str], scope: str, *, name: str = "", **attributes: Any) -> str:
        """Write a node with one output and return that output's name; `name` is the node's own, such as a layer's."""
        return self.node_with(operator, inputs, 1, scope, name=name, **attributes)[0]

    def node_with(
        self, operator: str, inputs: Sequence[str], outputs: int, scope: str, *, name: str = "", **attributes: Any
    ) -> list[str]:
        """Write a node with several outputs and return their names."""
        own = self._free(name or f"{scope}/{operator}".lstrip("/"))
        made = [own if outputs == 1 else f"{own}:{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), made, name=own, **attributes))
        return made

    def constant(self, value: np.ndarray, name: str) -> str:
        """Keep a constant and return its name; equal numbers, shapes and axes are kept once."""
        small = value.ndim == 0 or (value.dtype == np.int64 and value.size <= 8)
        key = (str(value.dtype), value.shape, value.tobytes()) if small else None
        if key is not None and key in self._small:
            return self._small[key]
        own = self._free(name)
        self.constants[own] = value
        if key is not None:
            self._small[key] = own
        return own

    def model(self, inputs: Sequence[TensorSpec], outputs: Sequence[tuple[str, TensorSpec]]) -> onnx.ModelProto:
        """Return the graph as a model; `outputs` are values of the graph and what they are called outside."""
        named = {value: spec.name for value, spec in outputs}
        used = {given for node in self.nodes for given in node.input} | set(named)
        for node in self.nodes:
            node.input[:] = [named.get(given, given) for given in node.input]
            node.output[:] = [named.get(made, made) for made in node.output]
        # Constants are written in place: protobuf copies what it is given.
        model = onnx.ModelProto(ir_version=IR_VERSION, producer_name="hwloop")
        model.opset_import.add(domain="", version=OPSET)
        model.graph.name = "subnet"
        model.graph.node.extend(self.nodes)
        for name, value in self.constants.items():
            if name in used:
                kind = helper.np_dtype_to_tensor_dtype(value.dtype)
                model.graph.initializer.add(name=name, data_type=kind, dims=value.shape, raw_data=value.tobytes())
        model.graph.input.extend(_value(spec) for spec in inputs)
        model.graph.output.extend(_value(spec) for _, spec in outputs)
        return model

    def _free(self, name: str) -> str:
        """Return a name that nothing has yet."""
        self._taken[name] += 1
        return name if self._taken[name] == 1 else self._free(f"{name}_{self._taken[name] - 1}")


def _value(spec: TensorSpec) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(spec.name, helper.np_dtype_to_tensor_dtype(numpy_type(spec.dtype)), spec.shape)
