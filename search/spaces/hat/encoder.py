"""The encoder: it reads the source, and hands on what each of its layers makes of it."""

from __future__ import annotations

from torch import Tensor, nn

from hwloop.records import Arch
from hwloop.search.spaces.elastic import ElasticLayerNorm
from hwloop.search.spaces.hat.choices import HatSizes
from hwloop.search.spaces.hat.layers import Attention, Dropout, FeedForward, Words


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each with a way around it and a norm after it."""

    def __init__(self, width: int, inner: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, inner, width)
        self.ffn = FeedForward(width, hidden)
        self.norm1, self.norm2 = ElasticLayerNorm(width), ElasticLayerNorm(width)
        self.drop = Dropout(dropout, width)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Return [batch, tokens, width] from this shape."""
        x = self.norm1(x + self.drop(self.attention(x, x, padding)))
        out: Tensor = self.norm2(x + self.drop(self.ffn(x)))
        return out


class Encoder(nn.Module):
    """Reads the source."""

    def __init__(self, sizes: HatSizes) -> None:
        super().__init__()
        width = max(sizes.encoder_widths)
        self.width = width
        self.embed = Words(sizes.source_words, width)
        self.drop = Dropout(sizes.dropout, width)
        self._chain = [
            EncoderLayer(width, sizes.inner, max(sizes.hidden), sizes.dropout) for _ in range(sizes.encoder_depth)
        ]
        self.layers = nn.ModuleList(self._chain)

    def activate(self, arch: Arch) -> None:
        """Run this subnet from now on."""
        self.width = int(arch["encoder.width"])
        for number, layer in enumerate(self._chain):
            layer.ffn.hidden = int(arch[f"encoder.layers.{number}.ffn"])
            layer.attention.heads = int(arch[f"encoder.layers.{number}.heads"])

    def forward(self, source: Tensor, padding: Tensor) -> list[Tensor]:
        """Return every layer's output [batch, length, width], the last layer's first, from tokens [batch, length]."""
        x = self.drop(self.embed(source, self.width) + self.embed.places(source.shape[1], self.width))
        outputs = []
        for layer in self._chain:
            x = layer(x, padding)
            outputs.append(x)
        return outputs[::-1]
