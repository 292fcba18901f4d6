"""int4-weight: 4-bit weights, with a scale and a zero point a block of a column, dequantized before a float product."""

from __future__ import annotations

import onnx

from hwloop.exporter.quantize import arithmetic
from hwloop.exporter.quantize.draft import Draft
from hwloop.exporter.quantize.layers import Layer


class BlockWriter:
    """Writes int4-weight layers as DequantizeLinear with blocks (opset 21), which ONNX Runtime makes MatMulNBits."""

    def __init__(self, draft: Draft, block_size: int) -> None:
        self._draft = draft
        self._block_size = block_size

    def write(self, layer: Layer, node: onnx.NodeProto, source: str) -> None:
        """Add a layer that reads the tensor `source`.

        A convolution's blocks run along the input channels of each place of the kernel.

        Raises:
            UsageError: as `Draft.weight`.
        """
        draft = self._draft
        floats = draft.bias(layer)
        bias = [] if floats is None else [draft.constant(str(layer.bias), floats)]
        if layer.kind == "Conv":
            draft.keep(node, name=layer.name, inputs=[source, self._weight(layer, draft.weight(layer)), *bias])
        else:
            draft.product(layer, [source, self._weight(layer, draft.matrix(layer))], *bias)

    def _weight(self, layer: Layer, weight: arithmetic.Floats) -> str:
        """Return the dequantized weights; blocks run along the first axis of a matrix, the second of a kernel."""
        draft, axis = self._draft, int(layer.kind == "Conv")
        numbers, scale, zero = arithmetic.quantize_blocks(weight, axis, self._block_size)
        inputs = [
            draft.nibbles(f"{layer.weight}.int4", numbers),
            draft.constant(f"{layer.weight}.scale", scale),
            draft.nibbles(f"{layer.weight}.zero", zero),
        ]
        result = draft.fresh(f"{layer.weight}.dequantized")
        return draft.add("DequantizeLinear", inputs, result, axis=axis, block_size=self._block_size)
