"""What convolutional spaces share: a convolution with its batch norm, round widths, and their one exported part."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from hwloop.errors import UsageError
from hwloop.records import TensorSpec
from hwloop.search.spaces.base import Part, Setting
from hwloop.search.spaces.elastic import ElasticBatchNorm2d, ElasticConv2d

WIDTH_STEP = 8
Activation = Callable[[Tensor], Tensor]


def round_width(width: float) -> int:
    """Return the multiple of 8 nearest to a width, but not below 90 % of it (Sandler et al., CVPR 2018)."""
    rounded = max(WIDTH_STEP, int(width + WIDTH_STEP / 2) // WIDTH_STEP * WIDTH_STEP)
    return rounded if rounded >= 0.9 * width else rounded + WIDTH_STEP


class ConvNorm(nn.Module):
    """A convolution, its batch norm and an activation, if any; an export makes one node of the first two."""

    def __init__(self, conv: ElasticConv2d, activation: Activation | None, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.conv = conv
        self.norm = ElasticBatchNorm2d(conv.out_channels, eps=epsilon)
        self.activation = activation

    def forward(self, x: Tensor, width: int | None = None, kernel: int | None = None) -> Tensor:
        """Return [batch, width, ...] from [batch, n, ...]."""
        y: Tensor = self.norm(self.conv(x, width, kernel))
        return y if self.activation is None else self.activation(y)

    def order_outputs(self, order: Tensor) -> None:
        """Put the channels that come out into another order."""
        norm = self.norm
        for values in (self.conv.weight.data, norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            assert values is not None
            values.copy_(values[order])

    def order_inputs(self, order: Tensor) -> None:
        """Expect the channels that come in in another order."""
        self.conv.weight.data = self.conv.weight.data[:, order]


def image_part(network: nn.Module, setting: Setting, channels: int, stride: int) -> Part:
    """Return a network from an image [batch, channels, side, side] to logits as the only part of its subnet.

    Raises:
        UsageError: the strides, whose product is `stride`, do not divide the resolution.
    """
    side = setting.resolution or 0
    if side < stride or side % stride:
        below = max(side // stride, 1) * stride
        raise UsageError(
            f"resolution {side} is no multiple of {stride}, the product of the network's strides",
            remedy=f"Give {below} or {below + stride}.",
        )
    return Part("", network, (TensorSpec("image", "float32", (setting.batch, channels, side, side)),), ("logits",))
