"""What is in a graph: the scheme of each layer, read from any model, and whether it is what was asked for.

This looks at operators, types and who feeds whom, and knows nothing of the code that quantizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from hwloop.exporter.quantize.layers import TABLE, find_layers, names_for
from hwloop.exporter.quantize.wiring import STANDARD, Wiring, is_standard
from hwloop.records import Scheme

BYTES = (TensorProto.INT8, TensorProto.UINT8)
NIBBLES = (TensorProto.INT4, TensorProto.UINT4)
VIEWS = ("MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Gather", "Identity")
# What turns the rows of a table into floats; halves of bytes are taken apart first.
ROWS = {"DequantizeLinear": Scheme.INT8_STATIC, "Cast": Scheme.INT8_DYNAMIC, "BitShift": Scheme.INT4_WEIGHT}
# Operators that are a quantized layer in themselves: the place of the weights among the inputs, and the kind.
INTEGER = {"MatMulInteger": (1, "MatMul"), "ConvInteger": (1, "Conv")}
WHOLE = {
    "QLinearMatMul": (3, "MatMul", Scheme.INT8_STATIC),
    "QLinearConv": (3, "Conv", Scheme.INT8_STATIC),
    "com.microsoft.QGemm": (3, "Gemm", Scheme.INT8_STATIC),
    "com.microsoft.DynamicQuantizeMatMul": (1, "MatMul", Scheme.INT8_DYNAMIC),
    "com.microsoft.MatMulNBits": (1, "MatMul", Scheme.INT4_WEIGHT),
}


@dataclass(frozen=True)
class Found:
    """A layer as a graph has it; `scheme` is None for a mixture that is none of ours, which `what` describes."""

    name: str
    kind: str
    scheme: Scheme | None
    what: str = ""


def found_layers(model: onnx.ModelProto) -> list[Found]:
    """Return every layer of a model, quantized or not, with its scheme, in the order of its nodes."""
    wiring = Wiring.of(model.graph)
    plain = {layer.index for layer in find_layers(wiring)}
    places: dict[int, tuple[str, Scheme | None, str]] = {}
    for index, node in enumerate(wiring.nodes):
        if index in plain:
            places[index] = node.op_type, Scheme.FP32, ""
        elif (seen := _quantized(node, wiring)) is not None:
            places[index] = seen
    names = names_for(wiring.nodes[index] for index in places)
    return [Found(name, *seen) for name, seen in zip(names, places.values(), strict=True)]


def scheme_of(model: onnx.ModelProto) -> dict[str, Scheme]:
    """Return the scheme of each layer of a model, by the layer's name.

    Models of other tools are read, too: QDQ and operator form, dynamic, and ONNX Runtime's own operators for them.
    Layers in a mixture that is no scheme of ours (8-bit weights with float activations) are left out.
    """
    return {layer.name: layer.scheme for layer in found_layers(model) if layer.scheme is not None}


def verify_policy(quantized: onnx.ModelProto, resolved: Mapping[str, Scheme]) -> None:
    """Check that a quantized model has all layers that were resolved, each in its scheme.

    Layers beyond them are those that were quantized before, by somebody else.

    Raises:
        RuntimeError: it has not; this is hwloop's own mistake, and the message names the layer.
    """
    found = {layer.name: layer for layer in found_layers(quantized)}
    for name, scheme in resolved.items():
        if name not in found:
            raise RuntimeError(f"layer {name}: asked for {scheme}, and the graph has no such layer")
        if found[name].scheme is not scheme:
            there = found[name].scheme or found[name].what
            raise RuntimeError(f"layer {name}: asked for {scheme}, and the graph has {there}")


def _quantized(node: onnx.NodeProto, wiring: Wiring) -> tuple[str, Scheme | None, str] | None:
    """Return a quantized layer's kind, scheme, and what it is where that is no scheme; None if it is no layer."""
    full_name = node.op_type if node.domain in STANDARD else f"{node.domain}.{node.op_type}"
    if full_name in WHOLE:
        place, kind, scheme = WHOLE[full_name]
        return (kind, scheme, "") if node.input[place] in wiring.constants else None
    if full_name in INTEGER:
        place, kind = INTEGER[full_name]
        if node.input[place] not in wiring.constants:
            return None
        dynamic = _made_by(node.input[0], "DynamicQuantizeLinear", wiring)
        return kind, Scheme.INT8_DYNAMIC if dynamic else Scheme.INT8_STATIC, ""
    if is_standard(node, TABLE):
        scheme_of_rows = _table_scheme(node, wiring)
        return None if scheme_of_rows is None else (TABLE, scheme_of_rows, "")
    if not is_standard(node, "MatMul", "Gemm", "Conv"):
        return None
    weight = _dequantized_type(node.input[1], wiring, constant=True)
    if weight is None:
        return None
    if weight in NIBBLES:
        return node.op_type, Scheme.INT4_WEIGHT, ""
    data = _dequantized_type(node.input[0], wiring, constant=False)
    if weight in BYTES and data in BYTES:
        return node.op_type, Scheme.INT8_STATIC, ""
    names = [TensorProto.DataType.Name(kind).lower() if kind is not None else "float" for kind in (weight, data)]
    return node.op_type, None, f"{names[0]} weights with {names[1]} activations"


def _table_scheme(node: onnx.NodeProto, wiring: Wiring) -> Scheme | None:
    """Return the scheme of a Gather that looks up rows of bytes that become floats; None for any other."""
    table = wiring.constants.get(node.input[0])
    if table is None or table.data_type not in BYTES or len(table.dims) != 2 or node.input[1] in wiring.constants:
        return None
    readers = {wiring.nodes[index].op_type for index in wiring.readers.get(node.output[0], ())}
    return next((scheme for operator, scheme in ROWS.items() if operator in readers), None)


def _dequantized_type(tensor: str, wiring: Wiring, constant: bool) -> int | None:
    """Return the type that a dequantized tensor had before, seen through views; None if it is none."""
    node = wiring.maker(tensor)
    while node is not None and is_standard(node, *VIEWS):
        node = wiring.maker(node.input[0])
    if node is None or node.op_type != "DequantizeLinear":
        return None
    before = node.input[0]
    if before in wiring.constants:
        return int(wiring.constants[before].data_type) if constant else None
    if constant:
        return None
    return _quantized_type(before, wiring)


def _quantized_type(tensor: str, wiring: Wiring) -> int | None:
    """Return the type of a quantized tensor: that of the zero point with which it was made, uint8 without one."""
    node = wiring.maker(tensor)
    while node is not None and is_standard(node, *VIEWS):
        node = wiring.maker(node.input[0])
    if node is None:
        return None
    zero = node.input[2] if node.op_type == "QuantizeLinear" and len(node.input) > 2 else ""
    return int(wiring.constants[zero].data_type) if zero in wiring.constants else int(TensorProto.UINT8)


def _made_by(tensor: str, operator: str, wiring: Wiring) -> bool:
    node = wiring.maker(tensor)
    while node is not None and is_standard(node, *VIEWS):
        node = wiring.maker(node.input[0])
    return node is not None and node.op_type == operator
