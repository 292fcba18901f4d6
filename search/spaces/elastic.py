"""Layers whose first channels are layers themselves: the input says how many it has, the caller how many come out."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ElasticLinear(nn.Linear):
    """A linear layer; its first inputs and outputs are the smaller ones."""

    def forward(self, x: Tensor, width: int | None = None) -> Tensor:
        """Return [..., width] from [..., n], of the first n inputs and the first `width` outputs (all: None)."""
        out = self.out_features if width is None else width
        return F.linear(x, self.weight[:out, : x.shape[-1]], None if self.bias is None else self.bias[:out])


class ElasticLayerNorm(nn.LayerNorm):
    """A layer norm over the last axis, of the first channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., n], normalized."""
        n = x.shape[-1]
        return F.layer_norm(x, (n,), self.weight[:n], self.bias[:n], self.eps)


class ElasticEmbedding(nn.Embedding):
    """A table of vectors; their first numbers are the smaller ones."""

    def forward(self, indices: Tensor, width: int | None = None) -> Tensor:
        """Return [..., width] for indices [...]."""
        return F.embedding(indices, self.weight[:, : self.embedding_dim if width is None else width])


class ElasticConv2d(nn.Conv2d):
    """A convolution that keeps the size at stride 1; smaller ones are its first channels and its kernel's middle.

    It is padded alike on all sides or, with `same`, as TensorFlow does: as little as the stride needs, less in front.
    """

    def __init__(
        self, before: int, after: int, kernel: int, stride: int = 1, depthwise: bool = False, same: bool = False
    ) -> None:
        groups = before if depthwise else 1
        super().__init__(before, after, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
        self.same = same

    def reset_parameters(self) -> None:
        """Draw weights that keep the variance before a ReLU (He et al., ICCV 2015)."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor, width: int | None = None, kernel: int | None = None) -> Tensor:
        """Return [batch, width, ...] from [batch, n, ...]; a depthwise one keeps n channels."""
        n, size = x.shape[1], self.kernel_size[0] if kernel is None else kernel
        depthwise = self.groups > 1
        out = n if depthwise else self.out_channels if width is None else width
        weight = self.weight[:out] if depthwise else self.weight[:out, :n]
        margin = (self.kernel_size[0] - size) // 2
        if margin:
            weight = weight[:, :, margin:-margin, margin:-margin]
        padding = size // 2
        if self.same and self.stride[0] > 1:
            x, padding = F.pad(x, self._same(x, size)), 0
        return F.conv2d(x, weight, None, self.stride, padding, 1, n if depthwise else 1)

    def _same(self, x: Tensor, size: int) -> list[int]:
        """Return the padding of TensorFlow: left, right, top, bottom."""
        pads = []
        for side, stride in zip(reversed(x.shape[2:]), reversed(self.stride), strict=True):
            total = max((math.ceil(side / stride) - 1) * stride + size - side, 0)
            pads += [total // 2, total - total // 2]
        return pads


class ElasticBatchNorm2d(nn.BatchNorm2d):
    """A batch norm of the first channels; a subnet's own statistics are taken anew before it is judged."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [batch, n, ...], normalized."""
        n = x.shape[1]
        mean, variance = self.running_mean, self.running_var
        assert isinstance(mean, torch.Tensor) and isinstance(variance, torch.Tensor)
        return F.batch_norm(
            x, mean[:n], variance[:n], self.weight[:n], self.bias[:n], self.training, self.momentum or 0.1, self.eps
        )
