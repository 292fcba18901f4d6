"""MobileNetV2: inverted residuals with depthwise 3x3 convolutions and ReLU6.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
"""

from __future__ import annotations

from pathlib import Path

from hwloop.testing.networks.graph import Graph

CLASSES = 1000
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def mobilenet(path: Path, size: int = 224) -> Path:
    """Write image[1, 3, size, size] → logits[1, 1000]; each stage is (expansion, channels, blocks, stride)."""
    graph = Graph(seed=size, opset=18)
    value = relu6(graph, graph.conv(graph.input("image", [1, 3, size, size]), 3, 32, 3, 2))
    before = 32
    for expansion, channels, blocks, stride in STAGES:
        for block in range(blocks):
            value = inverted_residual(graph, value, before, channels, expansion, 3, 1 if block else stride)
            before = channels
    value = relu6(graph, graph.conv(value, before, 1280, 1))
    pooled = graph.op("ReduceMean", value, graph.constant([2, 3]), keepdims=0)
    return graph.save(path, graph.classifier(pooled, 1280, CLASSES))


def relu6(graph: Graph, value: str) -> str:
    """Add a ReLU6, which exporters write as Clip."""
    return graph.op("Clip", value, graph.constant(0.0), graph.constant(6.0))


def inverted_residual(
    graph: Graph, value: str, before: int, after: int, expansion: int, kernel: int, stride: int
) -> str:
    """Add 1x1 up, depthwise, 1x1 down, and the shortcut where the shape stays."""
    inner = before * expansion
    main = value if expansion == 1 else relu6(graph, graph.conv(value, before, inner, 1))
    main = relu6(graph, graph.conv(main, inner, inner, kernel, stride, groups=inner))
    main = graph.conv(main, inner, after, 1)
    return graph.op("Add", main, value) if stride == 1 and before == after else main
