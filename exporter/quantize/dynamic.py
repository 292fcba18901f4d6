"""int8-dynamic: DynamicQuantizeLinear, shared by the layers that read the same tensor, and an integer product."""

from __future__ import annotations

import onnx
from onnx import TensorProto

from hwloop.exporter.quantize import arithmetic
from hwloop.exporter.quantize.draft import Draft
from hwloop.exporter.quantize.layers import Layer

Quantized = tuple[str, str, str]  # numbers, scale, zero point


class DynamicWriter:
    """Writes int8-dynamic layers, with int8 weights a channel and float biases."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._quantized: dict[str, Quantized] = {}

    def write(self, layer: Layer, node: onnx.NodeProto, source: str) -> None:
        """Add a layer that reads the tensor `source`.

        Raises:
            UsageError: as `Draft.weight`.
        """
        draft, conv = self._draft, layer.kind == "Conv"
        weight = draft.weight(layer) if conv else draft.matrix(layer)
        numbers, scale = arithmetic.quantize_channels(weight, 0 if conv else 1)
        values, input_scale, input_zero = self._quantize(source)
        sides = [values, draft.constant(f"{layer.weight}.int8", numbers), input_zero]
        sums = draft.fresh(f"{layer.result}.sums")
        if conv:
            draft.keep(node, name=layer.name, operator="ConvInteger", inputs=sides, result=sums)
        else:
            draft.add("MatMulInteger", sides, sums, name=layer.name)
        channels = [-1] + [1] * (weight.ndim - 2) if conv else [-1]  # they are the second axis of an image
        scales = draft.constant(f"{layer.weight}.scale", scale.reshape(channels))
        units = draft.add("Mul", [input_scale, scales], draft.fresh(f"{layer.result}.scale"))
        number = draft.add("Cast", [sums], draft.fresh(f"{layer.result}.number"), to=TensorProto.FLOAT)
        bias = draft.bias(layer)
        if bias is None:
            draft.add("Mul", [number, units], layer.result)
            return
        product = draft.add("Mul", [number, units], draft.fresh(f"{layer.result}.product"))
        offset = draft.constant(str(layer.bias), bias.reshape(channels))
        draft.add("Add", [product, offset], layer.result, name=f"{layer.name}/bias")

    def _quantize(self, source: str) -> Quantized:
        if source not in self._quantized:
            draft = self._draft
            parts = [draft.fresh(f"{source}.dynamic{end}") for end in ("", ".scale", ".zero")]
            draft.add("DynamicQuantizeLinear", [source], *parts)
            self._quantized[source] = parts[0], parts[1], parts[2]
        return self._quantized[source]
