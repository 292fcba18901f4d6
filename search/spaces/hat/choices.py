"""What can be chosen of a translator, and HAT's own description of one in ten numbers."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from hwloop.records import Arch
from hwloop.search.spaces.choices import Choice, Choices, one_of


@dataclass(frozen=True)
class HatSizes:
    """The values of each choice, from the smallest network to the largest, and what is fixed."""

    encoder_widths: tuple[int, ...]
    decoder_widths: tuple[int, ...]
    encoder_depth: int
    decoder_depths: tuple[int, ...]
    hidden: tuple[int, ...]  # of the feed-forward layers
    heads: tuple[int, ...]  # they divide `inner`
    inner: int  # width of queries, keys and values
    source_words: int
    target_words: int
    shared: bool  # one table for source, target and output, over one vocabulary
    dropout: float = 0.0
    reaches: tuple[int, ...] = (1, 2, 3)


def hat_choices(sizes: HatSizes) -> Choices:
    """Return the choices of a space of translators."""
    choices = [
        Choice("encoder.width", sizes.encoder_widths),
        Choice("decoder.width", sizes.decoder_widths),
        Choice("decoder.depth", sizes.decoder_depths),
    ]
    for number in range(sizes.encoder_depth):
        layer = f"encoder.layers.{number}"
        choices += [Choice(f"{layer}.ffn", sizes.hidden), Choice(f"{layer}.heads", sizes.heads)]
    for number in range(max(sizes.decoder_depths)):
        there = one_of("decoder.depth", (depth for depth in sizes.decoder_depths if depth > number))
        layer = f"decoder.layers.{number}"
        choices += [
            Choice(f"{layer}.ffn", sizes.hidden, there),
            Choice(f"{layer}.self_heads", sizes.heads, there),
            Choice(f"{layer}.cross_heads", sizes.heads, there),
            Choice(f"{layer}.reach", sizes.reaches, there),
        ]
    return Choices(tuple(choices))


def hat_features(arch: Arch) -> dict[str, float]:
    """Return the ten features from which HAT predicts latency, named and in the order of its published files."""

    def each(side: str, what: str) -> list[float]:
        start, end = f"{side}.layers.", f".{what}"
        return [float(arch[name]) for name in arch.choices if name.startswith(start) and name.endswith(end)]

    return {
        "encoder_embed_dim": float(arch["encoder.width"]),
        "encoder_layer_num": float(len(each("encoder", "ffn"))),
        "encoder_ffn_embed_dim_avg": fmean(each("encoder", "ffn")),
        "encoder_self_attention_heads_avg": fmean(each("encoder", "heads")),
        "decoder_embed_dim": float(arch["decoder.width"]),
        "decoder_layer_num": float(arch["decoder.depth"]),
        "decoder_ffn_embed_dim_avg": fmean(each("decoder", "ffn")),
        "decoder_self_attention_heads_avg": fmean(each("decoder", "self_heads")),
        "decoder_ende_attention_heads_avg": fmean(each("decoder", "cross_heads")),
        "decoder_arbitrary_ende_attn_avg": fmean(each("decoder", "reach")),
    }
