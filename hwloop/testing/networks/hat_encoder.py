"""Translation encoders out of HAT's space: tokens first, heads in the batch, post-norm, ReLU, each layer its own size.

The space: Wang et al., "HAT: Hardware-Aware Transformers for Efficient Natural Language Processing", ACL 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwloop.testing.networks.graph import Graph

VOCABULARY = 4096
LAYERS = ((8, 2048), (4, 1024), (8, 3072), (4, 2048), (8, 1024), (4, 3072))  # heads and hidden width of each


def hat_encoder(
    path: Path, width: int = 512, tokens: int = 30, layers: Sequence[tuple[int, int]] = LAYERS, head: int = 64
) -> Path:
    """Write tokens[1, tokens] → [tokens, 1, width]; heads are 64 wide whatever the width is, as in HAT."""
    graph = Graph(seed=width + tokens, opset=17)
    ids = graph.input("tokens", [1, tokens], integers=True)
    words = graph.op("Gather", graph.weight(VOCABULARY, width, scale=width**-0.5), ids)
    value = graph.op("Mul", words, graph.constant(float(width) ** 0.5))
    value = graph.op("Add", value, graph.weight(1, tokens, width, scale=0.5))
    value = graph.op("Transpose", value, perm=[1, 0, 2])
    for heads, hidden in layers:
        value = _norm(graph, graph.op("Add", value, _attention(graph, value, tokens, width, heads, head)), width)
        inner = graph.op("Relu", graph.linear(value, width, hidden))
        value = _norm(graph, graph.op("Add", value, graph.linear(inner, hidden, width)), width)
    return graph.save(path, value)


def _norm(graph: Graph, value: str, width: int) -> str:
    weights = graph.near_one(width), graph.weight(width, scale=0.1)
    return graph.op("LayerNormalization", value, *weights, axis=-1, epsilon=1e-5)


def _attention(graph: Graph, value: str, tokens: int, width: int, heads: int, head: int) -> str:
    def part() -> str:
        split = graph.reshape(graph.linear(value, width, heads * head), tokens, heads, head)
        return graph.op("Transpose", split, perm=[1, 0, 2])

    query, key, values = part(), part(), part()
    query = graph.op("Mul", query, graph.constant(float(head) ** -0.5))
    scores = graph.op("Softmax", graph.op("MatMul", query, graph.op("Transpose", key, perm=[0, 2, 1])), axis=-1)
    mixed = graph.op("Transpose", graph.op("MatMul", scores, values), perm=[1, 0, 2])
    return graph.linear(graph.reshape(mixed, tokens, 1, heads * head), heads * head, width)
