"""The layers of a translator: attention with and without a cache, and what stands around it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwloop.search.spaces.elastic import ElasticEmbedding, ElasticLinear

# Added to the scores of what must not be attended to: its exponential is 0, and it is a number in half precision, too.
BLOCKED = -1e4


class Cache(NamedTuple):
    """What a token attends to, laid out so that a step transposes nothing."""

    keys: Tensor  # [batch, heads, head width, tokens]
    values: Tensor  # [batch, heads, tokens, head width]


class Attention(nn.Module):
    """Attention whose heads share an inner width among them, as HAT's do: more heads are narrower ones."""

    def __init__(self, width: int, inner: int, memory_width: int) -> None:
        super().__init__()
        self.heads = 1
        self.q = ElasticLinear(width, inner)
        self.k, self.v = ElasticLinear(memory_width, inner), ElasticLinear(memory_width, inner)
        self.out = ElasticLinear(inner, width)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """Return [batch, tokens, width] from x of this shape, attending to memory [batch, keys, its width].

        `mask` is added to the scores [batch, heads, tokens, keys].
        """
        q, k, v = (self._split(side).transpose(1, 2) for side in (self.q(x), self.k(memory), self.v(memory)))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(q.dtype))
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2), x.shape[-1])
        return out

    def remember(self, memory: Tensor) -> Cache:
        """Return what `look` needs of a memory [batch, tokens, its width]."""
        keys, values = self._split(self.k(memory)), self._split(self.v(memory))
        return Cache(keys.permute(0, 2, 3, 1), values.transpose(1, 2))

    def append(self, cache: Cache, x: Tensor, here: Tensor) -> Cache:
        """Return a cache in which the token x [batch, 1, width] stands where `here` [tokens] is true."""
        batch = x.shape[0]
        key = self.k(x).reshape(batch, self.heads, -1, 1)
        value = self.v(x).reshape(batch, self.heads, 1, -1)
        return Cache(torch.where(here, key, cache.keys), torch.where(here[:, None], value, cache.values))

    def look(self, x: Tensor, cache: Cache, mask: Tensor) -> Tensor:
        """Return [batch, 1, width] from a token x of this shape, as `forward` does."""
        batch, _, width = x.shape
        q = self.q(x).reshape(batch, self.heads, 1, -1)
        weights = F.softmax((q * q.shape[-1] ** -0.5) @ cache.keys + mask, dim=-1)
        out: Tensor = self.out((weights @ cache.values).reshape(batch, 1, -1), width)
        return out

    def _split(self, side: Tensor) -> Tensor:
        """Return [batch, tokens, heads, head width]."""
        batch, tokens, inner = side.shape
        return side.reshape(batch, tokens, self.heads, inner // self.heads)


class Dropout(nn.Module):
    """Drops less of narrower vectors, in proportion, as HAT does."""

    def __init__(self, rate: float, width: int) -> None:
        super().__init__()
        self.rate, self.width = rate, width

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., n], some of it zero in training."""
        return F.dropout(x, self.rate * x.shape[-1] / self.width, self.training)


class FeedForward(nn.Module):
    """Two linear layers with ReLU between them, as wide there as `hidden` says."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.up, self.down = ElasticLinear(width, hidden), ElasticLinear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., width] from this shape."""
        out: Tensor = self.down(F.relu(self.up(x, self.hidden)), x.shape[-1])
        return out


class Words(ElasticEmbedding):
    """Vectors of tokens, and of the places where they stand."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__(words, width)
        nn.init.normal_(self.weight, std=width**-0.5)

    def forward(self, tokens: Tensor, width: int | None = None) -> Tensor:
        """Return [..., width] for tokens [...], made as large as the places' vectors."""
        x = super().forward(tokens, width)
        return x * math.sqrt(x.shape[-1])

    def places(self, count: int, width: int) -> Tensor:
        """Return [count, width]: sine and cosine in turn (Vaswani et al., 2017), a narrow one is a wide one's start."""
        device = self.weight.device
        waves = 10000 ** -(torch.arange(0, self.embedding_dim, 2, device=device) / self.embedding_dim)
        angles = torch.arange(count, device=device)[:, None] * waves
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]
