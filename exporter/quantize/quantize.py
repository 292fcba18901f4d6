"""Quantizing a model layer by layer, by a policy.

ONNX Runtime's own `onnxruntime.quantization` would be the tool of choice, but it is no tool for a search: of a
12-layer ViT-tiny its `quantize_dynamic` takes 3.4 s of processor time, the writing of QDQ in `quantize_static` 3.8 s
and its 4-bit quantizer 0.2 s, on a machine where this file takes 0.07 s for each (benchmarks/quantize_speed.py); one
call of it knows one scheme; and its static models of transformers are slower than this file's, because they
quantize norms, softmax and residuals, too. The tests hold its models against those made here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import onnx

from hwloop.errors import UsageError
from hwloop.exporter.quantize.activations import Activations
from hwloop.exporter.quantize.blocks import BlockWriter
from hwloop.exporter.quantize.draft import Draft
from hwloop.exporter.quantize.dynamic import DynamicWriter
from hwloop.exporter.quantize.layers import find_layers
from hwloop.exporter.quantize.ranges import Ranges
from hwloop.exporter.quantize.static import StaticWriter
from hwloop.exporter.quantize.tables import TableWriter
from hwloop.exporter.quantize.verify import verify_policy
from hwloop.exporter.quantize.versions import at_least
from hwloop.exporter.quantize.wiring import Wiring
from hwloop.records import QuantPolicy, Scheme

SMALLEST_BLOCK = 16  # the smallest that ONNX Runtime's 4-bit kernel takes
OPSETS = {Scheme.INT4_WEIGHT: 21, Scheme.INT8_STATIC: 13, Scheme.INT8_DYNAMIC: 13, Scheme.FP32: 1}


def quantize_parts(
    parts: Sequence[onnx.ModelProto], policy: QuantPolicy, ranges: Ranges | None = None, block_size: int = 32
) -> list[onnx.ModelProto]:
    """Return the parts of one candidate (an encoder, a decoder step) quantized, where a rule may speak of one alone.

    Raises:
        UsageError, RuntimeError: as `quantize`.
    """
    names = [[layer.name for layer in find_layers(Wiring.of(part.graph))] for part in parts]
    resolved = policy.resolved(dict.fromkeys(chain.from_iterable(names)))
    own = [QuantPolicy({name: resolved[name] for name in layers}) for layers in names]
    return [quantize(part, rules, ranges, block_size) for part, rules in zip(parts, own, strict=True)]


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
    wiring = Wiring.of(model.graph)
    resolved = policy.resolved(layer.name for layer in find_layers(wiring))
    raised = at_least(model, max((OPSETS[scheme] for scheme in resolved.values()), default=1))
    if raised is not model:
        wiring = Wiring.of(raised.graph)
    quantized = _rewritten(raised, wiring, resolved, ranges or Ranges(), block_size)
    verify_policy(quantized, resolved)
    return quantized


def _rewritten(
    model: onnx.ModelProto, wiring: Wiring, resolved: Mapping[str, Scheme], ranges: Ranges, block_size: int
) -> onnx.ModelProto:
    layers = find_layers(wiring)
    activations = Activations.plan(
        [layer for layer in layers if resolved[layer.name] is Scheme.INT8_STATIC and not layer.is_table], ranges, wiring
    )
    draft = Draft(model, wiring)
    static, dynamic, blocks = StaticWriter(draft, activations), DynamicWriter(draft), BlockWriter(draft, block_size)
    tables = TableWriter(draft)
    by_index = {layer.index: layer for layer in layers}
    written_with_layer = {layer.bias_index for layer in layers if resolved[layer.name] is not Scheme.FP32}
    for index, node in enumerate(wiring.nodes):
        if index in written_with_layer:
            continue
        layer = by_index.get(index)
        bytes_read = activations.read_by(node, wiring)
        inputs = [static.read(name) if name in bytes_read else name for name in node.input]
        scheme = resolved[layer.name] if layer else Scheme.FP32
        if layer is None or scheme is Scheme.FP32:
            draft.keep(node, name=layer.name if layer else node.name, inputs=inputs)
        elif layer.is_table:
            tables.write(layer, scheme)
        elif scheme is Scheme.INT8_STATIC:
            static.write(layer, node)
        elif scheme is Scheme.INT8_DYNAMIC:
            dynamic.write(layer, node, inputs[0])
        else:
            blocks.write(layer, node, inputs[0])
        for name in activations.made.intersection(node.output):
            static.round_result(name, is_output=name in wiring.outputs)
    return draft.finish()
