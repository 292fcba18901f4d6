"""A graph as kernels are cut from it: sizes known, constants folded, views taken away; weights are never looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hwloop.exporter.graph import nodes_of, tensors_of
from hwloop.exporter.kernels.contrib import contrib_output
from hwloop.exporter.kernels.inference import Numbers, inferred_outputs
from hwloop.exporter.kernels.roles import CONTROL_FLOW, RANDOM, Role, role_of
from hwloop.exporter.kernels.tensors import MOST_NUMBERS, UNKNOWN, Constant, Tensor, bits_of, tensor_of, type_name
from hwloop.exporter.kernels.values import compute

if TYPE_CHECKING:
    import numpy as np
    import onnx

STANDARD = "ai.onnx"
# Operators whose outputs' sizes depend on the numbers of a floating-point input.
SIZED_BY_FLOATS = frozenset(["Range", "Resize", "Upsample"])
SIZES = frozenset(["int64", "int32"])
BRANCHES = frozenset(["then_branch", "else_branch"])
# What moves a quantized weight without changing its numbers.
MOVES = frozenset(["Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze"])


@dataclass(slots=True, eq=False)
class Op:
    """A node whose inputs and outputs are named, or several nodes that are one operator in truth.

    `inside` are the constants of its bodies, where it has any.
    """

    domain: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    nodes: int = 1
    inside: tuple[Constant, ...] = ()
    role: Role = field(init=False)

    def __post_init__(self) -> None:
        self.role = role_of(self.domain, self.kind)


@dataclass
class Graph:
    """What was read of a model: operators that do work, in order, and what is known of every value.

    `views` leads from a value to the one whose bytes it shows.
    """

    ops: list[Op] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def tensor(self, name: str) -> Tensor:
        """Return what is known of a value."""
        return self.tensors.get(name, UNKNOWN)

    def root(self, name: str) -> str:
        """Return the value that a view shows."""
        return self.views.get(name, name)


def read_graph(model: onnx.ModelProto, sizes: Mapping[str, int]) -> Graph:
    """Read a model; `sizes` bind symbolic dimensions by name, or `INPUT:AXIS` where they have none."""
    if model.functions:
        model = _inlined(model)
    reader = _Reader(model, sizes)
    reader.read(model.graph)
    return reader.graph


class _Reader:
    def __init__(self, model: onnx.ModelProto, sizes: Mapping[str, int]) -> None:
        self.graph = Graph()
        self._sizes = sizes
        self._opsets = {entry.domain: entry.version for entry in model.opset_import}
        self._stated: dict[str, onnx.TypeProto] = {}
        self._dequantizers: dict[str, Op] = {}

    def read(self, graph: onnx.GraphProto) -> None:
        self._constants(graph)
        for value in graph.input:
            if value.name not in self.graph.constants:
                self.graph.inputs.append(value.name)
                self.graph.tensors[value.name] = self._input(value)
        self._nodes(graph)
        self.graph.outputs = [value.name for value in graph.output]

    def _constants(self, graph: onnx.GraphProto) -> None:
        for tensor in graph.initializer:
            self._constant(tensor.name, tensor)
        for sparse in graph.sparse_initializer:
            self._constant(sparse.values.name, sparse.values)

    def _nodes(self, graph: onnx.GraphProto) -> None:
        self._stated.update((value.name, value.type) for value in (*graph.value_info, *graph.output))
        for node in graph.node:
            self._node(node)

    def _input(self, value: onnx.ValueInfoProto) -> Tensor:
        found = tensor_of(value.type, tuple(self._sizes.items()))
        if found.shape is None:
            return found
        shape = (self._sizes.get(f"{value.name}:{axis}", size) for axis, size in enumerate(found.shape))
        return Tensor(found.dtype, tuple(shape))

    def _constant(self, name: str, proto: onnx.TensorProto) -> None:
        tensor = Tensor(type_name(proto.data_type), tuple(proto.dims))
        self.graph.tensors[name] = tensor
        self.graph.constants[name] = Constant(tensor.dtype, tensor.bytes, source=proto)

    def _node(self, node: onnx.NodeProto) -> None:
        attributes = dict(_attributes(node))
        if node.op_type == "Constant" and node.domain in ("", STANDARD):
            self._constant_node(node, attributes)
            return
        if node.op_type == "If" and attributes.keys() >= BRANCHES:
            self._branch(node, attributes)
            return
        op = Op(node.domain, node.op_type, tuple(node.input), tuple(node.output), attributes)
        if op.kind in CONTROL_FLOW:
            op = _with_bodies(op, node)
        self._infer(op, node)
        if self._folds(op):
            self._fold(op)
        elif op.role is Role.VIEW or self._keeps_the_type(op):
            self.graph.views[op.outputs[0]] = self.graph.root(op.inputs[0])
        elif (quantized := self._quantized_again(op)) is not None:
            self.graph.views[op.outputs[0]] = self.graph.root(quantized)
        else:
            self.graph.ops.append(op)
            if op.kind == "DequantizeLinear":
                self._dequantizers[op.outputs[0]] = op

    def _constant_node(self, node: onnx.NodeProto, attributes: Mapping[str, Any]) -> None:
        import numpy as np
        import onnx

        value = next(iter(attributes.values()), None)
        if isinstance(value, onnx.TensorProto):
            self._constant(node.output[0], value)
        elif isinstance(value, onnx.SparseTensorProto):
            self._constant(node.output[0], value.values)
        else:
            kind = np.int64 if "value_int" in attributes or "value_ints" in attributes else np.float32
            array = np.asarray(value if isinstance(value, int | float | list) else 0, kind)
            self._constant(node.output[0], onnx.numpy_helper.from_array(array))

    def _branch(self, node: onnx.NodeProto, attributes: Mapping[str, Any]) -> None:
        """Read the branch that is taken, as if it stood here; the longer one where that depends on data."""
        branches = (attributes["else_branch"], attributes["then_branch"])
        condition = self.graph.constants.get(node.input[0])
        if condition and condition.value is not None and condition.value.size == 1:
            taken = branches[bool(condition.value.item())]
        else:
            taken = max(branches, key=lambda branch: sum(1 for _ in nodes_of(branch)))
        self._constants(taken)
        self._nodes(taken)
        for name, value in zip(node.output, taken.output, strict=False):
            self.graph.tensors[name] = self.graph.tensor(value.name)
            if value.name in self.graph.constants:
                self.graph.constants[name] = self.graph.constants[value.name]
            else:
                self.graph.views[name] = self.graph.root(value.name)

    def _infer(self, op: Op, node: onnx.NodeProto) -> None:
        """Find what the outputs are: by onnx's rules, by ours for ONNX Runtime's operators, or as the model says."""
        graph = self.graph
        inputs = tuple(graph.tensor(name) if name else None for name in op.inputs)
        found: tuple[Tensor | None, ...] = (None,) * len(op.outputs)
        opset = self._opsets.get(op.domain) or self._opsets.get(STANDARD if not op.domain else "")
        if op.kind not in CONTROL_FLOW and op.domain in ("", STANDARD) and opset:
            serialized = tuple(attribute.SerializeToString() for attribute in node.attribute)
            found = inferred_outputs("", op.kind, opset, serialized, inputs, self._values(op), len(op.outputs))
        elif known := contrib_output(op.kind, [one or UNKNOWN for one in inputs], op.attributes):
            found = (known, *found[1:])
        for name, tensor in zip(op.outputs, found, strict=True):
            if name in self._stated and (tensor is None or tensor.shape is None or None in tensor.shape):
                tensor = tensor_of(self._stated[name], tuple(self._sizes.items()))
            graph.tensors[name] = tensor or UNKNOWN

    def _values(self, op: Op) -> tuple[Numbers, ...]:
        """Return the inputs whose numbers decide about sizes."""
        found = []
        for place, name in enumerate(op.inputs):
            constant = self.graph.constants.get(name)
            if constant is None or not (constant.dtype in SIZES or op.kind in SIZED_BY_FLOATS):
                continue
            value = constant.value
            if value is not None and 8 * value.itemsize == bits_of(constant.dtype):
                found.append((place, constant.dtype, value.shape, value.tobytes()))
        return tuple(found)

    def _folds(self, op: Op) -> bool:
        if op.kind in ("Shape", "Size"):
            return True
        constants = all(name in self.graph.constants for name in op.inputs if name)
        return constants and op.kind not in RANDOM and op.kind not in CONTROL_FLOW and bool(op.inputs)

    def _fold(self, op: Op) -> None:
        """Note that the outputs are constants, and which numbers they have where those are few."""
        import numpy as np

        graph = self.graph
        inputs = [graph.constants[name] for name in op.inputs if name in graph.constants]
        value: np.ndarray | None = None
        shape = graph.tensor(op.inputs[0]).shape if op.inputs else None
        if op.kind == "Shape" and shape is not None and None not in shape:
            value = np.asarray(shape[op.attributes.get("start", 0) : op.attributes.get("end")], np.int64)
        elif op.kind == "Size" and shape is not None and None not in shape:
            value = np.asarray(graph.tensor(op.inputs[0]).numel, np.int64)
        elif len(op.outputs) == 1 and inputs and all(one.value is not None for one in inputs):
            operands = [graph.constants[name].value if name else None for name in op.inputs]
            value = compute(op.kind, operands, op.attributes)
        for name in op.outputs:
            tensor = graph.tensor(name)
            if value is not None:
                graph.tensors[name] = tensor = Tensor(tensor.dtype, value.shape)
            if op.kind == "DequantizeLinear" and inputs:
                stored = Constant(inputs[0].dtype, sum(one.bytes for one in inputs), quantized=True)
            elif op.kind in MOVES and inputs and inputs[0].quantized:
                stored = inputs[0]
            else:
                stored = Constant(tensor.dtype, tensor.bytes, source=value)
            graph.constants[name] = stored

    def _quantized_again(self, op: Op) -> str | None:
        """Return the quantized value whose dequantized form, perhaps viewed otherwise, is quantized back."""
        before = self._dequantizers.get(self.graph.root(op.inputs[0])) if op.kind == "QuantizeLinear" else None
        if before is None:
            return None
        constants = self.graph.constants
        for one, other in zip(before.inputs[1:], op.inputs[1:], strict=False):
            first, second = constants.get(one), constants.get(other)
            if one != other and (first is None or second is None or not first.equals(second)):
                return None
        return before.inputs[0]

    def _keeps_the_type(self, op: Op) -> bool:
        return op.kind == "Cast" and self.graph.tensor(op.inputs[0]).dtype == type_name(op.attributes.get("to", 0))


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its functions in the places where they are called, without its weights."""
    import onnx
    from onnx.inliner import inline_local_functions

    graph = onnx.GraphProto(node=model.graph.node, input=model.graph.input, output=model.graph.output)
    graph.value_info.extend(model.graph.value_info)
    for tensor in model.graph.initializer:
        if Tensor("", tuple(tensor.dims)).numel <= MOST_NUMBERS:
            graph.initializer.append(tensor)
        else:
            graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    functions, opsets = model.functions, model.opset_import
    light = onnx.ModelProto(ir_version=model.ir_version, graph=graph, functions=functions, opset_import=opsets)
    return inline_local_functions(light)


def _with_bodies(op: Op, node: onnx.NodeProto) -> Op:
    """Let an operator with bodies read what these read from around them, and own their constants."""
    bodies = [body for attribute in node.attribute for body in ((attribute.g,) if attribute.HasField("g") else ())]
    made = {name for body in bodies for inner in nodes_of(body) for name in inner.output}
    made |= {value.name for body in bodies for value in body.input}
    inside = {tensor.name: tensor for body in bodies for tensor in tensors_of(body)}
    read = {name for body in bodies for inner in nodes_of(body) for name in inner.input}
    read |= {value.name for body in bodies for value in body.output}
    around = sorted(read - made - inside.keys() - {""})
    sizes = [Tensor(type_name(one.data_type), tuple(one.dims)) for body in bodies for one in tensors_of(body)]
    constants = tuple(Constant(size.dtype, size.bytes) for size in sizes)
    return Op(op.domain, op.kind, (*op.inputs, *around), op.outputs, {}, inside=constants)


def _attributes(node: onnx.NodeProto) -> Iterator[tuple[str, Any]]:
    import onnx

    text = onnx.AttributeProto.STRING
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        yield attribute.name, value.decode(errors="replace") if attribute.type == text else value
