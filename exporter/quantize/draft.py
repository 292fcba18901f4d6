"""A quantized model in the making."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hwloop.errors import UsageError
from hwloop.exporter.quantize.arithmetic import Floats, pack_nibbles
from hwloop.exporter.quantize.layers import Layer
from hwloop.exporter.quantize.wiring import Wiring, attribute, read_by


class Draft:
    """Collects the nodes and constants of a new graph beside a source, which stays as it is."""

    def __init__(self, source: onnx.ModelProto, wiring: Wiring) -> None:
        self._source = source
        self._wiring = wiring
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._node_names = {node.name or node.output[0] for node in wiring.nodes if node.output}  # layers' among them
        self._taken = {*wiring.constants, *wiring.makers, *(value.name for value in source.graph.input)}

    def keep(
        self,
        node: onnx.NodeProto,
        *,
        name: str | None = None,
        operator: str | None = None,
        inputs: Sequence[str] | None = None,
        result: str | None = None,
    ) -> None:
        """Add a node of the source, with another name, operator, inputs or result where they are given."""
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = node.name if name is None else name
        copy.op_type = operator or node.op_type
        if inputs is not None:
            copy.input[:] = inputs
        if result is not None:
            copy.output[:] = [result]
        self._nodes.append(copy)

    def add(self, operator: str, inputs: Sequence[str], *outputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its first output, after which it is called if it has no other name."""
        if not name:
            name = _unlike(outputs[0], self._node_names)
        self._nodes.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return outputs[0]

    def product(self, layer: Layer, sides: Sequence[str], *bias: str) -> None:
        """Add a layer that is a matrix product of two sides, and the Add of its bias, if there is one."""
        if not bias:
            self.add("MatMul", sides, layer.result, name=layer.name)
            return
        product = self.add("MatMul", sides, self.fresh(f"{layer.result}.product"), name=layer.name)
        self.add("Add", [product, *bias], layer.result, name=f"{layer.name}/bias")

    def rename_result(self, tensor: str) -> str:
        """Give what the last node made another name, and return that."""
        outputs = self._nodes[-1].output
        outputs[list(outputs).index(tensor)] = name = self.fresh(f"{tensor}.float")
        return name

    def fresh(self, name: str) -> str:
        """Return a name for a new tensor: the one wished for, or one like it."""
        return _unlike(name, self._taken)

    def constant(self, name: str, array: NDArray[Any] | np.generic) -> str:
        """Add a constant and return its name, which is like the one wished for."""
        return self.tensor(numpy_helper.from_array(np.asarray(array), name))

    def tensor(self, tensor: onnx.TensorProto) -> str:
        """Add a constant that is a tensor already; as `constant`."""
        tensor.name = self.fresh(tensor.name)
        self._constants[tensor.name] = tensor
        return tensor.name

    def nibbles(self, name: str, numbers: NDArray[np.uint8]) -> str:
        """Add a constant of 4-bit numbers; as `constant`."""
        data = pack_nibbles(np.ascontiguousarray(numbers))
        kind = TensorProto.UINT4
        return self.tensor(TensorProto(name=name, data_type=kind, dims=numbers.shape, raw_data=data))

    def matrix(self, layer: Layer) -> Floats:
        """Return a MatMul's or Gemm's weights as [depth, columns], a Gemm's alpha in them; raises as `weight`."""
        weight, node = self.weight(layer), self._wiring.nodes[layer.index]
        if attribute(node, "transB", 0):
            weight = weight.T
        alpha = attribute(node, "alpha", 1)
        return weight if alpha == 1 else weight * np.float32(alpha)

    def weight(self, layer: Layer) -> Floats:
        """Return a layer's weights as they stand.

        Raises:
            UsageError: some are NaN or infinite, or they are in another file that was not loaded.
        """
        return self._floats(layer, layer.weight)

    def bias(self, layer: Layer) -> Floats | None:
        """Return a layer's bias [channels], a Gemm's beta in it; None if it has none. Raises as `weight`."""
        if layer.bias is None:
            return None
        bias, node = self._floats(layer, layer.bias), self._wiring.nodes[layer.index]
        if layer.kind != "Gemm":
            return bias
        dims = self._wiring.constants[layer.weight].dims
        columns = dims[0 if attribute(node, "transB", 0) else 1]
        return np.broadcast_to(bias.reshape(-1) * np.float32(attribute(node, "beta", 1)), columns)

    def finish(self) -> onnx.ModelProto:
        """Return the model: the new nodes, and what they read of the constants."""
        source, graph = self._source, self._source.graph
        made = {name for node in self._nodes for name in node.output}
        read = {name for node in self._nodes for name in read_by(node)} | self._wiring.outputs
        nodes = [node for node in self._nodes if node.op_type != "Constant" or read.intersection(node.output)]
        model = onnx.ModelProto()
        for field in ("ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string"):
            setattr(model, field, getattr(source, field))
        for repeated in ("opset_import", "metadata_props", "functions"):
            getattr(model, repeated).extend(getattr(source, repeated))
        model.graph.name = graph.name
        model.graph.node.extend(nodes)
        for tensors in (graph.initializer, self._constants.values()):
            model.graph.initializer.extend(tensor for tensor in tensors if tensor.name in read)
        model.graph.sparse_initializer.extend(graph.sparse_initializer)
        gone = {tensor.name for tensor in graph.initializer} - read
        model.graph.input.extend(value for value in graph.input if value.name not in gone)
        model.graph.output.extend(graph.output)
        model.graph.value_info.extend(value for value in graph.value_info if value.name in made)
        return model

    def _floats(self, layer: Layer, name: str) -> Floats:
        tensor = self._wiring.constants[name]
        place = f"layer {layer.name}: {name}"
        if tensor.data_location == TensorProto.EXTERNAL:
            raise UsageError(f"{place} lies in another file", remedy="Load the model with its external data.")
        array: Floats = numpy_helper.to_array(tensor)
        if not np.isfinite(array).all():
            raise UsageError(
                f"{place} holds NaN or infinite numbers",
                remedy="Look at the training that made them; such a model computes nothing of use.",
            )
        return array


def _unlike(name: str, taken: set[str]) -> str:
    """Return a name, longer if it is taken, and take it."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name
