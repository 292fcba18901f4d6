"""Tiny translators, and a language pair that they learn in seconds: every word has one translation, order stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwloop.records import TensorSpec
from hwloop.search.spaces.hat import HatSizes, hat_space
from hwloop.search.tasks.base import Data
from hwloop.search.tasks.translation import Sentences, Translation, translation_split
from hwloop.search.tokens import END

WORDS = 8
VOCABULARY = END + 1 + WORDS
SENTENCES, JUDGED = 1200, 60
LONGEST = 4

SIZES = HatSizes(
    encoder_widths=(16, 32),
    decoder_widths=(16, 32),
    encoder_depth=2,
    decoder_depths=(1, 2),
    hidden=(32, 64),
    heads=(1, 2),
    inner=32,
    source_words=VOCABULARY,
    target_words=VOCABULARY,
    shared=True,
    reaches=(1, 2),
)
TINY_TRANSLATORS = hat_space("tiny-translators", "translators for tests", SIZES, tokens=LONGEST + 1)


def load_dictionary(inputs: Sequence[TensorSpec]) -> Data:
    """Return random sentences of 1 to 4 words, each once, and their translations."""
    random = np.random.default_rng(0)
    sentences = {tuple(random.integers(WORDS, size=random.integers(1, LONGEST + 1)).tolist()) for _ in range(SENTENCES)}
    translation = random.permutation(WORDS).tolist()
    first = END + 1
    sources = [[first + word for word in sentence] for sentence in sorted(sentences)]
    targets = [[first + translation[word] for word in sentence] for sentence in sorted(sentences)]
    every = translation_split("dictionary", inputs, Sentences.of(sources), Sentences.of(targets))
    order = random.permutation(len(every))
    return Data(every.take(order[JUDGED:]), every.take(order[:JUDGED]))


def decode_dictionary(tokens: np.ndarray) -> list[str]:
    """Return rows of tokens as texts of words "w3", each up to its END."""
    rows = [row.tolist() for row in tokens]
    ended = [row[: row.index(END)] if END in row else row for row in rows]
    return [" ".join(f"w{token}" for token in row if token > END) for row in ended]


DICTIONARY = Translation("dictionary", "words in order, for tests", VOCABULARY, load_dictionary, decode_dictionary)
