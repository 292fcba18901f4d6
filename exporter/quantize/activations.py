"""Which tensors of a graph are quantized for its int8-static layers, with what scale, and who reads them so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from hwloop.exporter.quantize.arithmetic import activation_parameters
from hwloop.exporter.quantize.layers import ACTIVATIONS, Layer
from hwloop.exporter.quantize.ranges import Range, Ranges
from hwloop.exporter.quantize.wiring import Wiring, is_standard

# What a runtime computes on bytes if all its sides and its result are quantized; VIEWS moreover change no number.
VIEWS = ("MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze")
FLOWS = ("Add", "AveragePool", "GlobalAveragePool", "Concat", *VIEWS)


@dataclass(frozen=True)
class Activations:
    """Scale and zero point of each tensor that is quantized; `made` are those that nobody has as floats any more.

    What feeds a static layer is quantized for that layer. What leaves a static convolution is quantized for
    everyone, because runtimes have integer convolutions with quantized results alone; a matrix product's result
    stays float, which is as fast and loses nothing.
    """

    parameters: Mapping[str, tuple[np.float32, np.uint8]]
    made: frozenset[str]

    @classmethod
    def plan(cls, static: Iterable[Layer], ranges: Ranges, wiring: Wiring) -> Activations:
        """Plan for the layers that are int8-static; layers that share a tensor share the widest of their ranges.

        Raises:
            UsageError: a layer has no range.
        """
        spans: dict[str, Range] = {}
        made = set()
        for layer in static:
            found = ranges.of(layer.name)
            _widen(spans, layer.input, found.input)
            if layer.kind == "Conv":
                _widen(spans, layer.output, found.output)
                made.add(layer.output)
        own = {tensor: activation_parameters(*span) for tensor, span in spans.items()}
        return cls({tensor: own[_seen_through(tensor, own, wiring)] for tensor in own}, frozenset(made))

    def read_by(self, node: onnx.NodeProto, wiring: Wiring) -> frozenset[str]:
        """Return the quantized tensors that a node, no static layer, reads in that form.

        Those that nobody has as floats any more; and all of its sides, if it can then compute on bytes.
        """
        sides = {name for name in node.input if name in self.parameters}
        return frozenset(sides if self._flows(node, wiring) else sides & self.made)

    def _flows(self, node: onnx.NodeProto, wiring: Wiring) -> bool:
        """Return whether a node's sides and result are all quantized.

        A sum's result need not be, lest a residual keep its float side alive.
        """
        if not is_standard(node, *FLOWS):
            return False
        sides = node.input[:1] if node.op_type in VIEWS else node.input
        quantized = all(side in self.parameters for side in sides)
        return quantized and (node.op_type == "Add" or self._leaves_quantized(node.output[0], wiring))

    def _leaves_quantized(self, result: str, wiring: Wiring) -> bool:
        after = wiring.only_reader(result)
        if after is not None and is_standard(wiring.nodes[after], *ACTIVATIONS):
            result = wiring.nodes[after].output[0]
        return result in self.parameters


def _widen(spans: dict[str, Range], tensor: str, span: Range) -> None:
    low, high = spans.get(tensor, span)
    spans[tensor] = min(low, span[0]), max(high, span[1])


def _seen_through(tensor: str, quantized: Mapping[str, object], wiring: Wiring) -> str:
    """Return the quantized tensor that a quantized one is a view of, or itself: both then have the same bytes."""
    source = tensor
    while (node := wiring.maker(source)) is not None and is_standard(node, *VIEWS):
        source = node.input[0]
        if source in quantized:
            tensor = source
    return tensor
