"""Residual networks with elastic depth, width and expansion.

What can be chosen, and the network itself, follow the ResNet-50 of Once-for-All (Cai et al., ICLR 2020), which
SimQ-NAS (Cummings et al., 2023) quantizes, too: a stem of three convolutions whose middle one may be left out, up to
two blocks more or less in each stage, a width of stem and stages, and the expansion of every block. Shortcuts that
halve the size do it by averaging (ResNet-D, He et al., CVPR 2019).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import prod

from torch import Tensor, nn
from torch.nn import functional as F

from hwloop.records import Arch
from hwloop.search.spaces.base import Part, Setting, Space
from hwloop.search.spaces.choices import Choice, Choices, one_of
from hwloop.search.spaces.convolutional import ConvNorm, image_part, round_width
from hwloop.search.spaces.elastic import ElasticConv2d, ElasticLinear


@dataclass(frozen=True)
class StageSizes:
    """A stage at its full width; its first block has the stride."""

    width: int
    depths: tuple[int, ...]
    stride: int = 2


@dataclass(frozen=True)
class ResnetSizes:
    """The values of each choice, from the smallest network to the largest, and what is fixed."""

    stages: tuple[StageSizes, ...]
    stem_width: int
    stem_stride: int  # 1, 2, or 4: a convolution halves the image, then pooling does
    widths: tuple[float, ...]  # parts of the full width
    expansions: tuple[float, ...]  # parts of a stage's width
    channels: int = 3
    classes: int = 1000

    @property
    def stride(self) -> int:
        """How many times smaller the image is at the end."""
        return prod(stage.stride for stage in self.stages) * self.stem_stride


def resnet_choices(sizes: ResnetSizes) -> Choices:
    """Return the choices of a space of residual networks."""
    choices = [
        Choice("stem.residual", (False, True)),
        Choice("stem.middle", sizes.widths),
        Choice("stem.width", sizes.widths),
    ]
    for number, stage in enumerate(sizes.stages):
        name = f"stages.{number}"
        choices += [Choice(f"{name}.depth", stage.depths), Choice(f"{name}.width", sizes.widths)]
        for block in range(max(stage.depths)):
            there = one_of(f"{name}.depth", [depth for depth in stage.depths if depth > block])
            choices.append(Choice(f"{name}.blocks.{block}.expansion", sizes.expansions, there))
    return Choices(tuple(choices))


class _Stem(nn.Module):
    """Three convolutions; the middle one has a way around it and may be left out."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        middle = round_width(width // 2)
        self.first = ConvNorm(ElasticConv2d(channels, middle, 3, min(stride, 2)), F.relu)
        self.residual = ConvNorm(ElasticConv2d(middle, middle, 3), F.relu)
        self.last = ConvNorm(ElasticConv2d(middle, width, 3), F.relu)
        self.pooled = stride > 2
        self.middle, self.width, self.with_residual = middle, width, True

    def forward(self, image: Tensor) -> Tensor:
        x = self.first(image, self.middle)
        if self.with_residual:
            x = x + self.residual(x, self.middle)
        x = self.last(x, self.width)
        return F.max_pool2d(x, 3, 2, 1) if self.pooled else x


class _Block(nn.Module):
    """A bottleneck: 1 x 1, 3 x 3, 1 x 1; the first of a stage has a convolution in its way around, too."""

    def __init__(self, before: int, width: int, middle: int, stride: int, first: bool) -> None:
        super().__init__()
        self.reduce = ConvNorm(ElasticConv2d(before, middle, 1), F.relu)
        self.spatial = ConvNorm(ElasticConv2d(middle, middle, 3, stride), F.relu)
        self.expand = ConvNorm(ElasticConv2d(middle, width, 1), None)
        self.shortcut = ConvNorm(ElasticConv2d(before, width, 1), None) if first else None
        self.stride = stride
        self.expansion = middle / width

    def forward(self, x: Tensor, width: int) -> Tensor:
        middle = round_width(round(width * self.expansion))
        y = self.expand(self.spatial(self.reduce(x, middle), middle), width)
        if self.shortcut is not None:
            x = self.shortcut(F.avg_pool2d(x, self.stride) if self.stride > 1 else x, width)
        return F.relu(x + y)


class _Stage(nn.Module):
    """Blocks of one width; the first ones make the shallower stage."""

    def __init__(self, before: int, stage: StageSizes, expansion: float) -> None:
        super().__init__()
        middle = round_width(round(stage.width * expansion))
        self.chain = [
            _Block(before if first else stage.width, stage.width, middle, stage.stride if first else 1, first)
            for first in (number == 0 for number in range(max(stage.depths)))
        ]
        self.blocks = nn.ModuleList(self.chain)
        self.depth, self.width = max(stage.depths), stage.width

    def forward(self, x: Tensor) -> Tensor:
        for block in self.chain[: self.depth]:
            x = block(x, self.width)
        return x


class Resnet(nn.Module):
    """The supernet; an image [batch, channels, side, side] becomes logits [batch, classes]."""

    def __init__(self, sizes: ResnetSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.stem = _Stem(sizes.channels, sizes.stem_width, sizes.stem_stride)
        self.chain = list(self._stages())
        self.stages = nn.ModuleList(self.chain)
        self.head = ElasticLinear(sizes.stages[-1].width, sizes.classes)
        self.activate(resnet_choices(sizes).largest)

    def _stages(self) -> Iterator[_Stage]:
        before = self.sizes.stem_width
        for stage in self.sizes.stages:
            yield _Stage(before, stage, max(self.sizes.expansions))
            before = stage.width

    def activate(self, arch: Arch) -> None:
        """Run this subnet from now on."""
        full = self.sizes.stem_width
        self.stem.with_residual = bool(arch["stem.residual"])
        self.stem.middle = round_width(round_width(full * float(arch["stem.middle"])) // 2)
        self.stem.width = round_width(full * float(arch["stem.width"]))
        for number, (stage, sizes) in enumerate(zip(self.chain, self.sizes.stages, strict=True)):
            name = f"stages.{number}"
            stage.depth = int(arch[f"{name}.depth"])
            stage.width = round_width(sizes.width * float(arch[f"{name}.width"]))
            for index, block in enumerate(stage.chain[: stage.depth]):
                block.expansion = float(arch[f"{name}.blocks.{index}.expansion"])

    def parts(self, setting: Setting) -> tuple[Part, ...]:
        """Return the whole subnet as the only part."""
        return (image_part(self, setting, self.sizes.channels, self.sizes.stride),)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of the active subnet."""
        x = self.stem(image)
        for stage in self.chain:
            x = stage(x)
        logits: Tensor = self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


def resnet_space(name: str, summary: str, sizes: ResnetSizes, resolution: int) -> Space:
    """Return a space of residual networks."""
    return Space(name, summary, resnet_choices(sizes), partial(Resnet, sizes), Setting(resolution=resolution))


OFA_RESNET50 = ResnetSizes(
    stages=(
        StageSizes(256, (2, 3, 4), stride=1),
        StageSizes(512, (2, 3, 4)),
        StageSizes(1024, (4, 5, 6)),
        StageSizes(2048, (2, 3, 4)),
    ),
    stem_width=64,
    stem_stride=4,
    widths=(0.65, 0.8, 1.0),
    expansions=(0.2, 0.25, 0.35),
)
SMALL_IMAGES = ResnetSizes(
    stages=(StageSizes(48, (1, 2, 3), stride=1), StageSizes(64, (1, 2, 3)), StageSizes(96, (1, 2, 3), stride=1)),
    stem_width=64,
    stem_stride=2,
    widths=(0.5, 0.75, 1.0),
    expansions=(0.25, 0.5, 1.0),
    channels=1,
    classes=10,
)

RESNET50 = resnet_space("resnet50", "residual networks as Once-for-All's ResNet-50", OFA_RESNET50, 224)
RESNET_MINI = resnet_space("resnet-mini", "small residual networks for grey images of 28 x 28", SMALL_IMAGES, 28)
