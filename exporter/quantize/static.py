"""int8-static: bytes in, by calibrated ranges, int8 weights a channel, int32 biases, in QDQ form.

Details that decide whether ONNX Runtime's integer kernels run: a MatMul's bias lies in a row [1, columns], because a
plain vector makes ONNX Runtime join product and Add to a Gemm before it looks for quantized sides; the weights have a
zero point, without which a Gemm stays float.
"""

from __future__ import annotations

import numpy as np
import onnx

from hwloop.exporter.quantize import arithmetic
from hwloop.exporter.quantize.activations import Activations
from hwloop.exporter.quantize.arithmetic import Floats
from hwloop.exporter.quantize.draft import Draft
from hwloop.exporter.quantize.layers import Layer


class StaticWriter:
    """Writes int8-static layers, and the quantized tensors that they and their neighbours read."""

    def __init__(self, draft: Draft, activations: Activations) -> None:
        self._draft = draft
        self._activations = activations
        self._read_as: dict[str, str] = {}

    def write(self, layer: Layer, node: onnx.NodeProto) -> None:
        """Add a layer and what it reads.

        Raises:
            UsageError: as `Draft.weight`.
        """
        if layer.kind == "Conv":
            self._draft.keep(node, name=layer.name, inputs=self._sides(layer, self._draft.weight(layer), 0))
            return
        sides = self._sides(layer, self._draft.matrix(layer), 1)
        self._draft.product(layer, sides[:2], *sides[2:])

    def read(self, tensor: str) -> str:
        """Return the name under which a quantized tensor is read; its quantization is added when first asked for."""
        if tensor not in self._read_as:
            self._round(tensor, tensor, self._draft.fresh(f"{tensor}.dequantized"))
        return self._read_as[tensor]

    def round_result(self, tensor: str, is_output: bool) -> None:
        """Quantize what the last node made, for everyone; an output of the graph keeps its name."""
        if is_output:
            self._round(self._draft.rename_result(tensor), tensor, tensor)
        else:
            self.read(tensor)

    def _round(self, source: str, tensor: str, result: str) -> None:
        draft, (scale, zero) = self._draft, self._activations.parameters[tensor]
        parameters = draft.constant(f"{tensor}.scale", scale), draft.constant(f"{tensor}.zero", zero)
        numbers = draft.add("QuantizeLinear", [source, *parameters], draft.fresh(f"{tensor}.quantized"))
        self._read_as[tensor] = draft.add("DequantizeLinear", [numbers, *parameters], result)

    def _sides(self, layer: Layer, weight: Floats, axis: int) -> list[str]:
        """Return the dequantized input, weights with channels along an axis, and bias, where there is one."""
        draft, (input_scale, _) = self._draft, self._activations.parameters[layer.input]
        bias = draft.bias(layer)
        least = 0.0 if bias is None else arithmetic.least_scale(bias, input_scale)
        numbers, scale = arithmetic.quantize_channels(weight, axis, least)
        weights = [
            draft.constant(f"{layer.weight}.int8", numbers),
            draft.constant(f"{layer.weight}.scale", scale),
            draft.constant(f"{layer.weight}.zero", np.zeros(scale.size, np.int8)),
        ]
        sides = [self.read(layer.input), self._dequantize(layer.weight, weights, axis)]
        if bias is not None:
            units = np.asarray(input_scale * scale, np.float32)
            whole = arithmetic.quantize_bias(bias, units)
            biases = [
                draft.constant(f"{layer.bias}.int32", whole if axis == 0 else whole[None]),
                draft.constant(f"{layer.bias}.scale", units),
            ]
            sides.append(self._dequantize(str(layer.bias), biases, axis))
        return sides

    def _dequantize(self, name: str, inputs: list[str], axis: int) -> str:
        return self._draft.add("DequantizeLinear", inputs, self._draft.fresh(f"{name}.dequantized"), axis=axis)
