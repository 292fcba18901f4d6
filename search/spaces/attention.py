"""Self-attention with an elastic number of heads, as encoders of text and images share it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from hwloop.search.spaces.elastic import ElasticLinear

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]


class ElasticAttention(nn.Module):
    """Attention of the first heads; each keeps its width, so that fewer heads are a narrower inside."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        inner = heads * head_width
        self.head_width = head_width
        self.q, self.k, self.v = (ElasticLinear(width, inner) for _ in range(3))
        self.out = ElasticLinear(inner, width)

    def forward(self, x: Tensor, heads: int, mix: Mix = F.scaled_dot_product_attention) -> Tensor:
        """Return [batch, tokens, width] from x of this shape.

        `mix` makes [batch, heads, tokens, head width] of queries, keys and values of this shape.
        """
        batch, tokens, width = x.shape
        inner = heads * self.head_width
        q, k, v = (
            side(x, inner).reshape(batch, tokens, heads, self.head_width).transpose(1, 2)
            for side in (self.q, self.k, self.v)
        )
        out: Tensor = self.out(mix(q, k, v).transpose(1, 2).reshape(batch, tokens, inner), width)
        return out
