"""EfficientNet-lite0: inverted residuals, some with 5x5 kernels, without squeeze and excitation.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; the lite variant is
that of TensorFlow's model garden.
"""

from __future__ import annotations

from pathlib import Path

from hwloop.testing.networks.graph import Graph
from hwloop.testing.networks.mobilenet import inverted_residual, relu6

CLASSES = 1000
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def efficientnet_lite(path: Path, size: int = 224) -> Path:
    """Write image[1, 3, size, size] → logits[1, 1000]; each stage is (expansion, channels, blocks, stride, kernel)."""
    graph = Graph(seed=size, opset=17)
    value = relu6(graph, graph.conv(graph.input("image", [1, 3, size, size]), 3, 32, 3, 2))
    before = 32
    for expansion, channels, blocks, stride, kernel in STAGES:
        for block in range(blocks):
            value = inverted_residual(graph, value, before, channels, expansion, kernel, 1 if block else stride)
            before = channels
    value = relu6(graph, graph.conv(value, before, 1280, 1))
    pooled = graph.op("Flatten", graph.op("GlobalAveragePool", value))
    return graph.save(path, graph.classifier(pooled, 1280, CLASSES))
