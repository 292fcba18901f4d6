"""Sentence encoders like MiniLM: embeddings, post-norm blocks, a mask over the keys, the mean over the tokens."""

from __future__ import annotations

from pathlib import Path

from hwloop.testing.networks.graph import Graph

VOCABULARY = 4096
HIDDEN = -1e4


def bert(path: Path, tokens: int = 128, width: int = 384, heads: int = 12, depth: int = 6) -> Path:
    """Write input_ids, attention_mask, token_type_ids [1, tokens] → [1, width], as the older torch exporter does."""
    graph = Graph(seed=width + tokens, opset=14)
    names = ("input_ids", "attention_mask", "token_type_ids")
    ids, mask, kinds = (graph.input(name, [1, tokens], integers=True) for name in names)
    words = graph.op("Gather", graph.weight(VOCABULARY, width, scale=0.5), ids)
    value = graph.op("Add", words, graph.op("Gather", graph.weight(2, width, scale=0.5), kinds))
    value = graph.op("Add", value, graph.weight(1, tokens, width, scale=0.5))
    value = _norm(graph, value, width)
    kept = graph.op("Cast", graph.op("Unsqueeze", mask, graph.constant([1, 2])), to=1)
    bias = graph.op("Mul", graph.op("Sub", graph.constant(1.0), kept), graph.constant(HIDDEN))
    for _ in range(depth):
        mixed = _attention(graph, value, bias, tokens, width, heads)
        value = _norm(graph, graph.op("Add", mixed, value), width)
        value = _norm(graph, graph.op("Add", _mlp(graph, value, width), value), width)
    weights = graph.op("Cast", graph.op("Unsqueeze", mask, graph.constant([2])), to=1)
    total = graph.op("ReduceSum", graph.op("Mul", value, weights), graph.constant([1]), keepdims=0)
    count = graph.op("ReduceSum", weights, graph.constant([1]), keepdims=0)
    return graph.save(path, graph.op("Div", total, graph.op("Clip", count, graph.constant(1e-9))))


def _norm(graph: Graph, value: str, width: int) -> str:
    """Add a layer norm in its parts, as opsets below 17 need it."""
    centred = graph.op("Sub", value, graph.op("ReduceMean", value, axes=[-1]))
    spread = graph.op("ReduceMean", graph.op("Pow", centred, graph.constant(2.0)), axes=[-1])
    deviation = graph.op("Sqrt", graph.op("Add", spread, graph.constant(1e-12)))
    scaled = graph.op("Mul", graph.op("Div", centred, deviation), graph.near_one(width))
    return graph.op("Add", scaled, graph.weight(width, scale=0.1))


def _attention(graph: Graph, value: str, bias: str, tokens: int, width: int, heads: int) -> str:
    head = width // heads

    def part(order: list[int]) -> str:
        split = graph.reshape(graph.linear(value, width, width), 1, tokens, heads, head)
        return graph.op("Transpose", split, perm=order)

    query, key, values = part([0, 2, 1, 3]), part([0, 2, 3, 1]), part([0, 2, 1, 3])
    scores = graph.op("Div", graph.op("MatMul", query, key), graph.constant(head**0.5))
    weights = graph.op("Softmax", graph.op("Add", scores, bias), axis=-1)
    mixed = graph.op("Transpose", graph.op("MatMul", weights, values), perm=[0, 2, 1, 3])
    return graph.linear(graph.reshape(mixed, 1, tokens, width), width, width)


def _mlp(graph: Graph, value: str, width: int) -> str:
    inner = graph.linear(value, width, 4 * width)
    grown = graph.op("Add", graph.op("Erf", graph.op("Div", inner, graph.constant(2**0.5))), graph.constant(1.0))
    active = graph.op("Mul", graph.op("Mul", inner, grown), graph.constant(0.5))
    return graph.linear(active, 4 * width, width)
