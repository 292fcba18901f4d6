"""Puts batch norms into the convolutions before them, as a runtime would."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hwloop.exporter.tracing.graph import Graph


def fold_batch_norms(graph: Graph, outputs: set[str]) -> None:
    """Scale and shift the convolutions whose result only a batch norm reads; the batch norms are gone then."""
    readers = Counter(given for node in graph.nodes for given in node.input)
    makers = {made: node for node in graph.nodes for made in node.output}
    kept = []
    for node in graph.nodes:
        before = makers.get(node.input[0]) if node.op_type == "BatchNormalization" else None
        if before is None or before.op_type != "Conv" or readers[node.input[0]] > 1 or node.input[0] in outputs:
            kept.append(node)
            continue
        scale, shift, mean, variance = (graph.constants[name].astype(np.float64) for name in node.input[1:])
        epsilon = next(attribute.f for attribute in node.attribute if attribute.name == "epsilon")
        factor = scale / np.sqrt(variance + epsilon)
        weight = graph.constants[before.input[1]]
        bias = graph.constants[before.input[2]] if len(before.input) > 2 else np.float64(0)
        graph.constants[before.input[1]] = weight * factor.astype(np.float32)[:, None, None, None]
        name = before.input[2] if len(before.input) > 2 else f"{before.name}.bias"
        graph.constants[name] = ((bias - mean) * factor + shift).astype(np.float32)
        before.input[:] = [*before.input[:2], name]
        before.output[0] = node.output[0]
        makers[node.output[0]] = before
    graph.nodes[:] = kept
