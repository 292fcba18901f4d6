"""Vision transformers: patches, a class token, pre-norm blocks with one matrix for query, key and value."""

from __future__ import annotations

from pathlib import Path

from hwloop.testing.networks.graph import Graph

PATCH = 16
CLASSES = 1000


def vit(path: Path, width: int = 192, heads: int = 3, depth: int = 12, size: int = 224, ratio: float = 4) -> Path:
    """Write image[1, 3, size, size] → logits[1, 1000], as torch's newer exporter writes timm's models."""
    graph = Graph(seed=width + depth, opset=18)
    image = graph.input("image", [1, 3, size, size])
    weight = graph.weight(width, 3, PATCH, PATCH, scale=(3 * PATCH * PATCH) ** -0.5)
    sizes = {"kernel_shape": [PATCH, PATCH], "strides": [PATCH, PATCH]}
    patches = graph.op("Conv", image, weight, graph.weight(width, scale=0.1), **sizes)
    count = (size // PATCH) ** 2
    rows = graph.op("Transpose", graph.reshape(patches, 1, width, count), perm=[0, 2, 1])
    tokens = graph.op("Concat", graph.weight(1, 1, width, scale=0.5), rows, axis=1)
    value = graph.op("Add", tokens, graph.weight(1, count + 1, width, scale=0.5))
    for _ in range(depth):
        value = graph.op("Add", value, _attention(graph, _norm(graph, value, width), count + 1, width, heads))
        value = graph.op("Add", value, _mlp(graph, _norm(graph, value, width), width, int(width * ratio)))
    first = graph.op("Gather", _norm(graph, value, width), graph.constant(0), axis=1)
    return graph.save(path, graph.classifier(first, width, CLASSES))


def _norm(graph: Graph, value: str, width: int) -> str:
    weights = graph.near_one(width), graph.weight(width, scale=0.1)
    return graph.op("LayerNormalization", value, *weights, axis=-1, epsilon=1e-6)


def _attention(graph: Graph, value: str, tokens: int, width: int, heads: int) -> str:
    """Scale query and key by the fourth root, as torch's scaled_dot_product_attention comes out."""
    head = width // heads
    joined = graph.reshape(graph.linear(value, width, 3 * width), 1, tokens, 3, heads, head)
    turned = graph.op("Transpose", joined, perm=[2, 0, 3, 1, 4])
    query, key, values = (graph.op("Gather", turned, graph.constant(part), axis=0) for part in range(3))
    scale = graph.constant(head**-0.25)
    key = graph.op("Mul", graph.op("Transpose", key, perm=[0, 1, 3, 2]), scale)
    scores = graph.op("Softmax", graph.op("MatMul", graph.op("Mul", query, scale), key), axis=-1)
    mixed = graph.op("Transpose", graph.op("MatMul", scores, values), perm=[0, 2, 1, 3])
    return graph.linear(graph.reshape(mixed, 1, tokens, width), width, width)


def _mlp(graph: Graph, value: str, width: int, hidden: int) -> str:
    inner = graph.linear(value, width, hidden)
    grown = graph.op("Add", graph.op("Erf", graph.op("Div", inner, graph.constant(2**0.5))), graph.constant(1.0))
    active = graph.op("Mul", graph.op("Mul", inner, grown), graph.constant(0.5))
    return graph.linear(active, hidden, width)
