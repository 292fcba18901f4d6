"""Quantizing a model layer by layer, by a policy."""

from __future__ import annotations

import onnx

from hwloop.errors import UsageError
from hwloop.exporter.quantize.activations import Activations
from hwloop.exporter.quantize.blocks import BlockWriter
from hwloop.exporter.quantize.draft import Draft
from hwloop.exporter.quantize.dynamic import DynamicWriter
from hwloop.exporter.quantize.layers import find_layers
from hwloop.exporter.quantize.ranges import Ranges
from hwloop.exporter.quantize.static import StaticWriter
from hwloop.exporter.quantize.verify import verify_policy
from hwloop.exporter.quantize.versions import at_least
from hwloop.exporter.quantize.wiring import Wiring
from hwloop.records import QuantPolicy, Scheme

SMALLEST_BLOCK = 16  # the smallest that ONNX Runtime's 4-bit kernel takes
OPSETS = {Scheme.INT4_WEIGHT: 21, Scheme.INT8_STATIC: 13, Scheme.INT8_DYNAMIC: 13, Scheme.FP32: 1}


def quantize(
    model: onnx.ModelProto, policy: QuantPolicy, ranges: Ranges | None = None, block_size: int = 32
) -> onnx.ModelProto:
    """Return a model with each layer in the scheme that a policy gives it; `model` stays as it is.

    Nodes that are layers carry the layers' names (`layers_of`) afterwards. `ranges` are those of the int8-static
    layers; `block_size` is how many weights of a column share a scale in int4-weight. A model with an opset that has
    not what it takes is raised to one that has.

    Raises:
        UsageError: the policy names a layer that is not there, an int8-static layer has no range, weights are NaN or
            infinite, or the block size is no power of two from 16.
        RuntimeError: what came out is not what was asked for, which is hwloop's own mistake.
    """
    if block_size < SMALLEST_BLOCK or block_size & (block_size - 1):
        raise UsageError(f"block size {block_size} is no power of two from {SMALLEST_BLOCK}", remedy="Use 32 or 64.")
    layers = find_layers(Wiring.of(model.graph))
    resolved = policy.resolved(layer.name for layer in layers)
    model = at_least(model, max((OPSETS[scheme] for scheme in resolved.values()), default=1))
    wiring = Wiring.of(model.graph)
    layers = find_layers(wiring)
    draft = Draft(model, wiring)
    static = [layer for layer in layers if resolved[layer.name] is Scheme.INT8_STATIC]
    activations = Activations.plan(static, ranges or Ranges(), wiring)
    rounded, dynamic, blocks = StaticWriter(draft, activations), DynamicWriter(draft), BlockWriter(draft, block_size)
    by_index = {layer.index: layer for layer in layers}
    with_layer = {layer.bias_index for layer in layers if resolved[layer.name] is not Scheme.FP32}
    for index, node in enumerate(wiring.nodes):
        if index in with_layer:
            continue
        layer = by_index.get(index)
        scheme = resolved[layer.name] if layer else Scheme.FP32
        flows = activations.flow_through(node, wiring)
        inputs = [
            rounded.read(name) if name in activations.made or (flows and name in activations.parameters) else name
            for name in node.input
        ]
        if layer is None or scheme is Scheme.FP32:
            draft.keep(node, name=layer.name if layer else node.name, inputs=inputs)
        elif scheme is Scheme.INT8_STATIC:
            rounded.write(layer, node)
        elif scheme is Scheme.INT8_DYNAMIC:
            dynamic.write(layer, node, inputs[0])
        else:
            blocks.write(layer, node, inputs[0])
        for name in activations.made.intersection(node.output):
            rounded.round_result(name, name in wiring.outputs)
    quantized = draft.finish()
    verify_policy(quantized, resolved)
    return quantized
