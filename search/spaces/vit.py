"""Vision Transformers with a token mixer, heads and MLP of their own in every block.

What can be chosen follows AutoFormer (Chen et al., ICCV 2021: width, depth, and per block heads of 64 and MLP ratio),
with the token mixers among which searches for efficient attention choose: softmax attention, linear attention with ReLU
features (Cai et al., EfficientViT, ICCV 2023) and average pooling (Yu et al., MetaFormer, CVPR 2022); patch size and
resolution, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwloop.records import Arch, TensorSpec
from hwloop.search.spaces.attention import ElasticAttention
from hwloop.search.spaces.base import Part, Setting, Space
from hwloop.search.spaces.choices import Choice, Choices, Rule
from hwloop.search.spaces.elastic import ElasticLayerNorm, ElasticLinear

SOFTMAX, LINEAR, POOLING = "softmax", "linear", "pooling"


@dataclass(frozen=True)
class VitSizes:
    """The values of each choice, from the smallest network to the largest, and what is fixed."""

    resolutions: tuple[int, ...]
    patches: tuple[int, ...]  # from few tokens to many
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    ratios: tuple[float, ...]
    mixers: tuple[str, ...] = (POOLING, LINEAR, SOFTMAX)
    head_width: int = 64
    channels: int = 3
    classes: int = 1000


def vit_choices(sizes: VitSizes) -> Choices:
    """Return the choices of a space of Vision Transformers."""
    choices = [
        Choice("resolution", sizes.resolutions),
        Choice("patch", sizes.patches),
        Choice("width", sizes.widths),
        Choice("depth", sizes.depths),
    ]
    for block in range(max(sizes.depths)):
        there = {"depth": tuple(depth for depth in sizes.depths if depth > block)}
        name = f"blocks.{block}"
        choices += [
            Choice(f"{name}.mixer", sizes.mixers, there),
            Choice(f"{name}.heads", sizes.heads, {**there, f"{name}.mixer": (LINEAR, SOFTMAX)}),
            Choice(f"{name}.ratio", sizes.ratios, there),
        ]
    whole = Rule(
        ("resolution", "patch"),
        lambda resolution, patch: resolution % patch == 0,
        "the patch must divide the resolution",
    )
    return Choices(tuple(choices), (whole,))


def _linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return attention without softmax: [batch, heads, tokens, head width] of all three, in linear time."""
    q, k = F.relu(q), F.relu(k)
    total = q @ k.sum(dim=2, keepdim=True).transpose(2, 3)
    return q @ (k.transpose(2, 3) @ v) / (total + 1e-6)


def _pooled(x: Tensor, side: int) -> Tensor:
    """Return how the mean of a token's 3 x 3 neighbours differs from it, [batch, side * side, width]."""
    batch, tokens, width = x.shape
    image = x.transpose(1, 2).reshape(batch, width, side, side)
    mean = F.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
    return (mean - image).reshape(batch, width, tokens).transpose(1, 2)


class _Block(nn.Module):
    """A token mixer and an MLP, each after a norm and with a way around it."""

    def __init__(self, width: int, heads: int, head_width: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ElasticLayerNorm(width), ElasticLayerNorm(width)
        self.attention = ElasticAttention(width, heads, head_width)
        self.up, self.down = ElasticLinear(width, hidden), ElasticLinear(hidden, width)
        self.mixer, self.heads, self.hidden, self.side = SOFTMAX, heads, hidden, 1

    def forward(self, x: Tensor) -> Tensor:
        width = x.shape[-1]
        y = self.norm1(x)
        if self.mixer == POOLING:
            x = x + _pooled(y, self.side)
        else:
            mix = F.scaled_dot_product_attention if self.mixer == SOFTMAX else _linear_attention
            x = x + self.attention(y, self.heads, mix)
        hidden = F.gelu(self.up(self.norm2(x), self.hidden))
        out: Tensor = x + self.down(hidden, width)
        return out


class _Patches(nn.Conv2d):
    """Cuts an image into patches of one size and embeds each; the first channels are the narrower embedding."""

    def forward(self, image: Tensor, width: int | None = None) -> Tensor:
        assert self.bias is not None
        return F.conv2d(image, self.weight[:width], self.bias[:width], self.stride)


class Vit(nn.Module):
    """The supernet; an image [batch, channels, side, side] becomes logits [batch, classes]."""

    def __init__(self, sizes: VitSizes) -> None:
        super().__init__()
        width, heads = max(sizes.widths), max(sizes.heads)
        hidden = round(width * max(sizes.ratios))
        grid = max(sizes.resolutions) // sizes.patches[-1]
        self.sizes = sizes
        self.embed = nn.ModuleDict(
            {str(patch): _Patches(sizes.channels, width, patch, patch) for patch in sizes.patches}
        )
        self.position = nn.Parameter(torch.empty(1, width, grid, grid).normal_(std=0.02))
        self._chain = [_Block(width, heads, sizes.head_width, hidden) for _ in range(max(sizes.depths))]
        self.blocks = nn.ModuleList(self._chain)
        self.norm = ElasticLayerNorm(width)
        self.head = ElasticLinear(width, sizes.classes)
        self.activate(vit_choices(sizes).largest)

    def activate(self, arch: Arch) -> None:
        """Run this subnet from now on."""
        self.resolution, self.patch = int(arch["resolution"]), int(arch["patch"])
        self.width, self.depth = int(arch["width"]), int(arch["depth"])
        for number, block in enumerate(self._chain[: self.depth]):
            block.mixer = str(arch[f"blocks.{number}.mixer"])
            block.heads = int(arch.choices.get(f"blocks.{number}.heads", 0))
            block.hidden = round(self.width * float(arch[f"blocks.{number}.ratio"]))
            block.side = self.resolution // self.patch

    def parts(self, setting: Setting) -> tuple[Part, ...]:
        """Return the whole subnet as the only part."""
        shape = (setting.batch, self.sizes.channels, self.resolution, self.resolution)
        return (Part("", self, (TensorSpec("image", "float32", shape),), ("logits",)),)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of the active subnet; an image of another size is resized to its resolution."""
        if image.shape[-1] != self.resolution:
            image = F.interpolate(image, size=(self.resolution, self.resolution), mode="bilinear", antialias=True)
        x = self.embed[str(self.patch)](image, self.width)
        grid = x.shape[-1]
        position = F.interpolate(self.position[:, : self.width], size=(grid, grid), mode="bilinear", antialias=True)
        x = (x + position).flatten(2).transpose(1, 2)
        for block in self._chain[: self.depth]:
            x = block(x)
        logits: Tensor = self.head(self.norm(x).mean(dim=1))
        return logits


def vit_space(name: str, summary: str, sizes: VitSizes) -> Space:
    """Return a space of Vision Transformers."""
    return Space(name, summary, vit_choices(sizes), partial(Vit, sizes))


TINY = VitSizes((160, 192, 224), (32, 16), (192, 216, 240), (12, 13, 14), (3, 4), (3.5, 4.0))
SMALL_IMAGES = VitSizes(
    (28,), (7, 4), (48, 64, 96), (2, 3, 4, 5), (1, 2, 3), (1.0, 2.0, 3.0), head_width=32, channels=1, classes=10
)

VIT_TINY = vit_space("vit-tiny", "Vision Transformers as AutoFormer-tiny's, with searchable token mixers", TINY)
VIT_MINI = vit_space("vit-mini", "small Vision Transformers for images of 28 x 28 in grey", SMALL_IMAGES)
