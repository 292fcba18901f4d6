"""ResNets of bottlenecks: 1x1, 3x3 and 1x1 convolutions with a shortcut around.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; the stride on the 3x3, as torchvision has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwloop.testing.networks.graph import Graph

CLASSES = 1000


def resnet(path: Path, size: int = 224, blocks: Sequence[int] = (3, 4, 6, 3), width: int = 64) -> Path:
    """Write image[1, 3, size, size] → logits[1, 1000]; the defaults are ResNet-50."""
    graph = Graph(seed=size, opset=18)
    value = graph.op("Relu", graph.conv(graph.input("image", [1, 3, size, size]), 3, width, 7, 2))
    value = graph.op("MaxPool", value, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    before = width
    for stage, count in enumerate(blocks):
        inner = width << stage
        for block in range(count):
            stride = 2 if stage and not block else 1
            value = _bottleneck(graph, value, before, inner, stride)
            before = 4 * inner
    pooled = graph.op("GlobalAveragePool", value)
    return graph.save(path, graph.classifier(graph.op("Flatten", pooled), before, CLASSES))


def _bottleneck(graph: Graph, value: str, before: int, inner: int, stride: int) -> str:
    after = 4 * inner
    main = graph.op("Relu", graph.conv(value, before, inner, 1))
    main = graph.op("Relu", graph.conv(main, inner, inner, 3, stride))
    main = graph.conv(main, inner, after, 1, gain=0.2)
    shortcut = value if before == after else graph.conv(value, before, after, 1, stride)
    return graph.op("Relu", graph.op("Add", main, shortcut))
