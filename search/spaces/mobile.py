"""Mobile convolutional networks with elastic depth, expansion, kernels and head.

The full-size network is EfficientNet-Lite0 (Tan and Le, ICML 2019; Lite: ReLU6 for swish, no squeeze and excitation),
whose trained weights it takes. What can be chosen follows Once-for-All (Cai et al., ICLR 2020): the depth of a stage,
the expansion of each block, and 3 x 3 out of the middle of a 5 x 5 kernel; and the width of the last convolution.
Channels are ordered by importance, so that the first ones are what a smaller network wants.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwloop.records import Arch
from hwloop.search.spaces.base import Part, Setting, Space
from hwloop.search.spaces.choices import Choice, Choices, one_of
from hwloop.search.spaces.convolutional import ConvNorm, image_part, round_width
from hwloop.search.spaces.efficientnet_lite import lite0_weights
from hwloop.search.spaces.elastic import ElasticConv2d, ElasticLinear

EPSILON = 1e-3  # of EfficientNet's batch norms


@dataclass(frozen=True)
class StageSizes:
    """A stage of inverted residuals; its first block has the stride. What has but one value is not chosen."""

    expansions: tuple[int, ...]
    width: int
    depths: tuple[int, ...]
    stride: int
    kernels: tuple[int, ...]


@dataclass(frozen=True)
class MobileSizes:
    """The values of each choice, from the smallest network to the largest, and what is fixed."""

    stages: tuple[StageSizes, ...]
    stem_width: int
    stem_stride: int
    heads: tuple[int, ...]  # widths of the last convolution
    channels: int = 3
    classes: int = 1000

    @property
    def stride(self) -> int:
        """How many times smaller the image is at the end."""
        return self.stem_stride * prod(stage.stride for stage in self.stages)


def mobile_choices(sizes: MobileSizes) -> Choices:
    """Return the choices of a space of mobile networks."""
    choices = []
    for number, stage in enumerate(sizes.stages):
        depth = f"stages.{number}.depth"
        if len(stage.depths) > 1:
            choices.append(Choice(depth, stage.depths))
        for block in range(max(stage.depths)):
            name = f"stages.{number}.blocks.{block}"
            deep = [depth for depth in stage.depths if depth > block]
            there = one_of(depth, deep) if len(stage.depths) > 1 else {}
            values = {"expansion": stage.expansions, "kernel": stage.kernels}
            choices += [Choice(f"{name}.{what}", some, there) for what, some in values.items() if len(some) > 1]
    return Choices((*choices, Choice("head.width", sizes.heads)))


class _Block(nn.Module):
    """An inverted residual: 1 x 1 (unless the expansion is 1), depthwise, 1 x 1; with a way around it where it fits."""

    def __init__(self, before: int, width: int, stride: int, expansion: int, kernel: int) -> None:
        super().__init__()
        middle = before * expansion
        conv = partial(ElasticConv2d, same=True)
        self.expand = ConvNorm(conv(before, middle, 1), F.relu6, EPSILON) if expansion > 1 else None
        self.spatial = ConvNorm(conv(middle, middle, kernel, stride, depthwise=True), F.relu6, EPSILON)
        self.project = ConvNorm(conv(middle, width, 1), None, EPSILON)
        self.residual = stride == 1 and before == width
        self.expansion, self.kernel = expansion, kernel

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x if self.expand is None else self.expand(x, round_width(x.shape[1] * self.expansion))
        y = self.project(self.spatial(y, kernel=self.kernel))
        return x + y if self.residual else y

    def order_channels(self) -> None:
        """Order the expanded channels by the L1 norm of the weights that read them, as Once-for-All does."""
        if self.expand is not None:
            order = _most_first(self.project.conv.weight.abs().sum(dim=(0, 2, 3)))
            self.expand.order_outputs(order)
            self.spatial.order_outputs(order)
            self.project.order_inputs(order)


class _Stage(nn.Module):
    """Blocks of one width; the first ones make the shallower stage."""

    def __init__(self, before: int, stage: StageSizes) -> None:
        super().__init__()
        expansion, kernel = max(stage.expansions), max(stage.kernels)
        self.chain = [
            _Block(stage.width if block else before, stage.width, 1 if block else stage.stride, expansion, kernel)
            for block in range(max(stage.depths))
        ]
        self.blocks = nn.ModuleList(self.chain)
        self.depth = max(stage.depths)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.chain[: self.depth]:
            x = block(x)
        return x


class Mobile(nn.Module):
    """The supernet; an image [batch, channels, side, side] becomes logits [batch, classes]."""

    def __init__(self, sizes: MobileSizes) -> None:
        super().__init__()
        self.sizes = sizes
        stem = ElasticConv2d(sizes.channels, sizes.stem_width, 3, sizes.stem_stride, same=True)
        self.stem = ConvNorm(stem, F.relu6, EPSILON)
        self.chain = list(self._stages())
        self.stages = nn.ModuleList(self.chain)
        self.last = ConvNorm(ElasticConv2d(sizes.stages[-1].width, max(sizes.heads), 1), F.relu6, EPSILON)
        self.head = ElasticLinear(max(sizes.heads), sizes.classes)
        self.activate(mobile_choices(sizes).largest)

    def _stages(self) -> Iterator[_Stage]:
        before = self.sizes.stem_width
        for stage in self.sizes.stages:
            yield _Stage(before, stage)
            before = stage.width

    def activate(self, arch: Arch) -> None:
        """Run this subnet from now on."""
        self.head_width = int(arch["head.width"])
        for number, (stage, sizes) in enumerate(zip(self.chain, self.sizes.stages, strict=True)):
            stage.depth = int(arch.choices.get(f"stages.{number}.depth", max(sizes.depths)))
            for index, block in enumerate(stage.chain[: stage.depth]):
                name = f"stages.{number}.blocks.{index}"
                block.expansion = int(arch.choices.get(f"{name}.expansion", max(sizes.expansions)))
                block.kernel = int(arch.choices.get(f"{name}.kernel", max(sizes.kernels)))

    def parts(self, setting: Setting) -> tuple[Part, ...]:
        """Return the whole subnet as the only part."""
        return (image_part(self, setting, self.sizes.channels, self.sizes.stride),)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of the active subnet."""
        x = self.stem(image)
        for stage in self.chain:
            x = stage(x)
        x = self.last(x, self.head_width)
        logits: Tensor = self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits

    def order_channels(self) -> None:
        """Put the most important channels first, wherever a smaller network has fewer; the function stays the same."""
        for stage in self.chain:
            for block in stage.chain:
                block.order_channels()
        order = _most_first(self.head.weight.abs().sum(dim=0))
        self.last.order_outputs(order)
        self.head.weight.data = self.head.weight.data[:, order]


def _most_first(importance: Tensor) -> Tensor:
    return torch.argsort(importance, descending=True, stable=True)


def mobile_space(name: str, summary: str, sizes: MobileSizes, resolution: int) -> Space:
    """Return a space of mobile networks."""
    return Space(name, summary, mobile_choices(sizes), partial(Mobile, sizes), Setting(resolution=resolution))


LITE0 = MobileSizes(
    stages=(
        StageSizes((1,), 16, (1,), 1, (3,)),
        StageSizes((3, 4, 6), 24, (1, 2), 2, (3,)),
        StageSizes((3, 4, 6), 40, (1, 2), 2, (3, 5)),
        StageSizes((3, 4, 6), 80, (1, 2, 3), 2, (3,)),
        StageSizes((3, 4, 6), 112, (1, 2, 3), 1, (3, 5)),
        StageSizes((3, 4, 6), 192, (2, 3, 4), 2, (3, 5)),
        StageSizes((3, 4, 6), 320, (1,), 1, (3,)),
    ),
    stem_width=32,
    stem_stride=2,
    heads=(640, 960, 1280),
)
SMALL_IMAGES = MobileSizes(
    stages=(
        StageSizes((1,), 16, (1,), 1, (3,)),
        StageSizes((2, 3, 4), 24, (1, 2, 3), 2, (3, 5)),
        StageSizes((2, 3, 4), 40, (1, 2, 3), 2, (3, 5)),
    ),
    stem_width=16,
    stem_stride=1,
    heads=(64, 128),
    channels=1,
    classes=10,
)


def _trained_lite0() -> dict[str, Tensor]:
    network = Mobile(LITE0)
    network.load_state_dict(lite0_weights([max(stage.depths) for stage in LITE0.stages]))
    network.order_channels()
    return network.state_dict()


MOBILE_EFFICIENTNET = replace(
    mobile_space("mobile-efficientnet", "mobile networks out of EfficientNet-Lite0's trained weights", LITE0, 224),
    pretrained=_trained_lite0,
)
MOBILE_MINI = mobile_space("mobile-mini", "small mobile networks for grey images of 28 x 28", SMALL_IMAGES, 28)
