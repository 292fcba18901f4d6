"""The decoder: it writes the target, all of it at once in training or token by token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwloop.records import Arch
from hwloop.search.spaces.elastic import ElasticLayerNorm, ElasticLinear
from hwloop.search.spaces.hat.choices import HatSizes
from hwloop.search.spaces.hat.layers import BLOCKED, Attention, Cache, Dropout, FeedForward, Words


class DecoderLayer(nn.Module):
    """Self-attention, attention to the last `reach` encoder layers and feed-forward, around and normed as there."""

    def __init__(self, width: int, inner: int, memory_width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.reach = 1
        self.attention = Attention(width, inner, width)
        self.cross = Attention(width, inner, memory_width)
        self.ffn = FeedForward(width, hidden)
        self.norm1, self.norm2, self.norm3 = (ElasticLayerNorm(width) for _ in range(3))
        self.drop = Dropout(dropout, width)

    def forward(self, x: Tensor, memory: Tensor, future: Tensor, padding: Tensor) -> Tensor:
        """Return [batch, tokens, width] from this shape; the masks block the future and the memory's padding."""
        x = self.norm1(x + self.drop(self.attention(x, x, future)))
        x = self.norm2(x + self.drop(self.cross(x, memory, padding)))
        out: Tensor = self.norm3(x + self.drop(self.ffn(x)))
        return out

    def step(
        self, x: Tensor, past: Cache, memory: Cache, here: Tensor, future: Tensor, padding: Tensor
    ) -> tuple[Tensor, Cache]:
        """Return one token [batch, 1, width] from this shape, and the past with it."""
        past = self.attention.append(past, x, here)
        x = self.norm1(x + self.attention.look(x, past, future))
        x = self.norm2(x + self.cross.look(x, memory, padding))
        return self.norm3(x + self.ffn(x)), past


class Decoder(nn.Module):
    """Writes the target, all of it at once or token by token."""

    def __init__(self, sizes: HatSizes) -> None:
        super().__init__()
        width = max(sizes.decoder_widths)
        self.width = width
        self.embed = Words(sizes.target_words, width)
        self.drop = Dropout(sizes.dropout, width)
        self._chain = [
            DecoderLayer(width, sizes.inner, max(sizes.encoder_widths), max(sizes.hidden), sizes.dropout)
            for _ in range(max(sizes.decoder_depths))
        ]
        self.layers = nn.ModuleList(self._chain)
        self.output = ElasticLinear(width, sizes.target_words, bias=False)
        nn.init.normal_(self.output.weight, std=width**-0.5)
        self.active = self._chain

    def activate(self, arch: Arch) -> None:
        """Run this subnet from now on."""
        self.width = int(arch["decoder.width"])
        self.active = self._chain[: int(arch["decoder.depth"])]
        for number, layer in enumerate(self.active):
            layer.ffn.hidden = int(arch[f"decoder.layers.{number}.ffn"])
            layer.attention.heads = int(arch[f"decoder.layers.{number}.self_heads"])
            layer.cross.heads = int(arch[f"decoder.layers.{number}.cross_heads"])
            layer.reach = int(arch[f"decoder.layers.{number}.reach"])

    def forward(self, target: Tensor, memories: list[Tensor], padding: Tensor) -> Tensor:
        """Return the logits [batch, steps, words] of what follows each token of a target [batch, steps]."""
        steps = target.shape[1]
        x = self.drop(self.embed(target, self.width) + self.embed.places(steps, self.width))
        future = torch.full((steps, steps), BLOCKED, device=self.embed.weight.device).triu(1)
        for layer in self.active:
            x = layer(x, _joined(memories[: layer.reach], 1), future, _joined([padding] * layer.reach, -1))
        logits: Tensor = self.output(x)
        return logits

    def remember(self, memories: list[Tensor]) -> list[Cache]:
        """Return what each active layer attends to of the encoder's outputs."""
        return [layer.cross.remember(_joined(memories[: layer.reach], 1)) for layer in self.active]

    def step(
        self, token: Tensor, position: Tensor, padding: Tensor, past: list[Cache], memory: list[Cache]
    ) -> tuple[Tensor, list[Cache]]:
        """Return the logits [batch, 1, words] of what follows a token [batch, 1], and the past with this token.

        The past has room for a fixed number of tokens; this one is put at `position` [1], later places are blocked.
        """
        steps = past[0].keys.shape[-1]
        places = torch.arange(steps, device=self.embed.weight.device)
        here, future = places == position, torch.where(places <= position, 0.0, BLOCKED)
        paddings = {layer.reach: _joined([padding] * layer.reach, -1) for layer in self.active}
        x = self.embed(token, self.width) + F.embedding(position, self.embed.places(steps, self.width))
        present = []
        for layer, own, cross in zip(self.active, past, memory, strict=True):
            x, own = layer.step(x, own, cross, here, future, paddings[layer.reach])
            present.append(own)
        return self.output(x), present


def _joined(tensors: Sequence[Tensor], dim: int) -> Tensor:
    """Return tensors one after the other along an axis."""
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), dim)
