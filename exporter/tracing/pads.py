"""Puts zeros around an image into the convolution that reads it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx

from hwloop.exporter.tracing.graph import Graph


def fold_pads(graph: Graph, outputs: set[str]) -> None:
    """Let convolutions pad what only they read; the Pad nodes before them are gone then."""
    readers = Counter(given for node in graph.nodes for given in node.input)
    pads = {
        node.output[0]: node
        for node in graph.nodes
        if node.op_type == "Pad" and readers[node.output[0]] == 1 and node.output[0] not in outputs
    }
    folded = set()
    for node in graph.nodes:
        pad = pads.get(node.input[0]) if node.op_type == "Conv" else None
        amounts = None if pad is None else _around_image(graph, pad)
        if pad is None or amounts is None:
            continue
        own = next(attribute for attribute in node.attribute if attribute.name == "pads")
        own.ints[:] = [first + second for first, second in zip(own.ints, amounts, strict=True)]
        node.input[0] = pad.input[0]
        folded.add(pad.name)
    graph.nodes[:] = [node for node in graph.nodes if node.name not in folded]


def _around_image(graph: Graph, pad: onnx.NodeProto) -> list[int] | None:
    """Return top, left, bottom and right of a Pad of zeros that adds neither images nor channels, else None."""
    amounts, value = (graph.constants[name] for name in pad.input[1:3])
    before, after = np.split(amounts, 2)
    if value.item() != 0 or len(before) != 4 or before[:2].any() or after[:2].any() or (amounts < 0).any():
        return None
    return [*map(int, before[2:]), *map(int, after[2:])]
