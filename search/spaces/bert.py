"""BERT-like encoders with elastic depth, and heads and neurons of its own in every layer.

What can be chosen follows DynaBERT (Hou et al., NeurIPS 2020): heads and neurons are ordered by importance, so that a
narrower layer keeps the first ones, and a shallower network keeps layers that are evenly spaced. There, one width
serves all layers; here, each layer has its own. The width of the embeddings is fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwloop.errors import UsageError
from hwloop.records import Arch, TensorSpec
from hwloop.search.spaces.attention import ElasticAttention
from hwloop.search.spaces.base import Part, Setting, Space
from hwloop.search.spaces.choices import Choice, Choices
from hwloop.search.spaces.elastic import ElasticEmbedding, ElasticLayerNorm, ElasticLinear

HIDDEN = -1e4  # added to the scores of tokens that are padding: no weight is left in fp32, and fp16 can hold it
USUAL_LENGTH = 128


@dataclass(frozen=True)
class BertSizes:
    """The values of each choice, from the smallest network to the largest, and what is fixed."""

    depths: tuple[int, ...]
    heads: tuple[int, ...]
    neurons: tuple[int, ...]
    width: int
    head_width: int
    vocabulary: int
    positions: int = 512
    classes: int = 2
    epsilon: float = 1e-12

    @classmethod
    def of(
        cls,
        depth: int,
        heads: int,
        neurons: int,
        width: int,
        vocabulary: int,
        positions: int = 512,
        epsilon: float = 1e-12,
    ) -> BertSizes:
        """Return the sizes of a space whose largest network is this one: its third, half, two thirds; its quarters."""
        return cls(
            depths=_parts(depth, (2, 3, 4, 6)),
            heads=_parts(heads, (1, 2, 3, 4)),
            neurons=_parts(neurons, (1, 2, 3, 4)),
            width=width,
            head_width=width // heads,
            vocabulary=vocabulary,
            positions=positions,
            epsilon=epsilon,
        )


def _parts(whole: int, shares: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted({max(1, whole * share // shares[-1]) for share in shares}))


def kept_layers(depth: int, whole: int) -> tuple[int, ...]:
    """Return which of `whole` layers a network of `depth` layers keeps: evenly spaced, with the first (DynaBERT)."""
    return tuple(number * whole // depth for number in range(depth))


def bert_choices(sizes: BertSizes) -> Choices:
    """Return the choices of a space of encoders; a layer's count at the depths that keep it."""
    whole = max(sizes.depths)
    choices = [Choice("depth", sizes.depths)]
    for layer in range(whole):
        there = {"depth": tuple(depth for depth in sizes.depths if layer in kept_layers(depth, whole))}
        choices += [
            Choice(f"layers.{layer}.heads", sizes.heads, there),
            Choice(f"layers.{layer}.ffn", sizes.neurons, there),
        ]
    return Choices(tuple(choices))


class _Layer(nn.Module):
    """Attention and an FFN, each with a way around it and a norm after it."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.heads, self.neurons = max(sizes.heads), max(sizes.neurons)
        self.attention = ElasticAttention(sizes.width, self.heads, sizes.head_width)
        self.norm1 = ElasticLayerNorm(sizes.width, eps=sizes.epsilon)
        self.up, self.down = ElasticLinear(sizes.width, self.neurons), ElasticLinear(self.neurons, sizes.width)
        self.norm2 = ElasticLayerNorm(sizes.width, eps=sizes.epsilon)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        mix = partial(F.scaled_dot_product_attention, attn_mask=hidden)
        x = self.norm1(x + self.attention(x, self.heads, mix))
        out: Tensor = self.norm2(x + self.down(F.gelu(self.up(x, self.neurons))))
        return out


class Bert(nn.Module):
    """The supernet; tokens and their mask, [batch, length] each, become logits [batch, classes].

    The mask is 1 for tokens and 0 for padding. The head stands on the mean of the tokens' vectors.
    """

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.words = ElasticEmbedding(sizes.vocabulary, sizes.width)
        # The kinds of tokens (first or second sentence) are one here, and added to the positions.
        self.position = nn.Parameter(torch.empty(sizes.positions, sizes.width).normal_(std=0.02))
        self.norm = ElasticLayerNorm(sizes.width, eps=sizes.epsilon)
        self._chain = [_Layer(sizes) for _ in range(max(sizes.depths))]
        self.layers = nn.ModuleList(self._chain)
        self.head = ElasticLinear(sizes.width, sizes.classes)
        nn.init.normal_(self.words.weight, std=0.02)
        self.activate(bert_choices(sizes).largest)

    def activate(self, arch: Arch) -> None:
        """Run this subnet from now on."""
        self.kept = kept_layers(int(arch["depth"]), len(self._chain))
        for number in self.kept:
            self._chain[number].heads = int(arch[f"layers.{number}.heads"])
            self._chain[number].neurons = int(arch[f"layers.{number}.ffn"])

    def parts(self, setting: Setting) -> tuple[Part, ...]:
        """Return the whole subnet as the only part.

        Raises:
            UsageError: there are not as many positions as the length needs.
        """
        length = USUAL_LENGTH if setting.length is None else setting.length
        if length > self.sizes.positions:
            raise UsageError(
                f"length {length} is more than the {self.sizes.positions} positions that were trained",
                remedy=f"Use a length of at most {self.sizes.positions}.",
            )
        shape = (setting.batch, length)
        inputs = (TensorSpec("input_ids", "int64", shape), TensorSpec("attention_mask", "int64", shape))
        return (Part("", self, inputs, ("logits",)),)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the logits [batch, classes] of the active subnet; without a mask, no token is padding."""
        logits: Tensor = self.head(self.embed(input_ids, attention_mask))
        return logits

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the mean of the tokens' vectors, [batch, width]: the sentence's embedding, not normalized."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        kept = mask.to(self.position.dtype)
        hidden = ((1.0 - kept) * HIDDEN)[:, None, None, :]
        x = self.norm(self.words(input_ids) + self.position[: input_ids.shape[1]])
        for number in self.kept:
            x = self._chain[number](x, hidden)
        weights = kept[:, :, None]
        mean: Tensor = (x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
        return mean


def bert_space(
    name: str, summary: str, sizes: BertSizes, pretrained: Callable[[], dict[str, Tensor]] | None = None
) -> Space:
    """Return a space of BERT-like encoders."""
    defaults = Setting(length=min(USUAL_LENGTH, sizes.positions))
    return Space(name, summary, bert_choices(sizes), partial(Bert, sizes), defaults, pretrained)
