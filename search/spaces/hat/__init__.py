"""Encoder-decoder Transformers for translation, as HAT's: heterogeneous layers, arbitrary encoder-decoder attention.

What can be chosen, and between which values, is as in HAT (Wang et al., ACL 2020): the two embedding widths, the
decoder's depth, each layer's feed-forward width and heads, and for each decoder layer whether it attends to the outputs
of the last one, two or three encoder layers. The encoder has a fixed depth there, too, since decoding takes most time.
"""

from __future__ import annotations

from functools import partial

from hwloop.search.spaces.base import Setting, Space
from hwloop.search.spaces.hat.choices import HatSizes, hat_choices, hat_features
from hwloop.search.spaces.hat.network import Hat
from hwloop.search.tokens import PAD

__all__ = ["HAT_IWSLT", "HAT_SMALL", "HAT_WMT", "PAD", "Hat", "HatSizes", "hat_choices", "hat_features", "hat_space"]


def hat_space(name: str, summary: str, sizes: HatSizes, tokens: int = 30) -> Space:
    """Return a space of translators, timed at `tokens` tokens of source and as many of target by default."""
    defaults = Setting(length=tokens, steps=tokens)
    return Space(name, summary, hat_choices(sizes), partial(Hat, sizes), defaults)


WMT = HatSizes(
    encoder_widths=(512, 640),
    decoder_widths=(512, 640),
    encoder_depth=6,
    decoder_depths=(1, 2, 3, 4, 5, 6),
    hidden=(1024, 2048, 3072),
    heads=(4, 8),
    inner=512,
    source_words=32768,
    target_words=32768,
    shared=True,
    dropout=0.3,
)
IWSLT = HatSizes(
    encoder_widths=(512, 640),
    decoder_widths=(512, 640),
    encoder_depth=6,
    decoder_depths=(1, 2, 3, 4, 5, 6),
    hidden=(512, 1024, 2048),
    heads=(2, 4),
    inner=512,
    source_words=8848,
    target_words=6632,
    shared=False,
    dropout=0.375,
)
SMALL = HatSizes(
    encoder_widths=(128, 192, 256),
    decoder_widths=(128, 192, 256),
    encoder_depth=3,
    decoder_depths=(1, 2, 3),
    hidden=(256, 512, 768),
    heads=(2, 4),
    inner=128,
    source_words=8000,
    target_words=8000,
    shared=True,
    dropout=0.1,
)

# HAT's own sentences are 30 tokens long for WMT and 23 for IWSLT, the data's averages.
HAT_IWSLT = hat_space("hat-iwslt", "translators as HAT's for IWSLT'14 German to English", IWSLT, tokens=23)
HAT_SMALL = hat_space("hat-small", "small translators that are trained in minutes", SMALL)
HAT_WMT = hat_space("hat-wmt", "translators as HAT's for WMT'14 English to German", WMT)
