"""Pieces of words for translators: one byte-level BPE for both languages, of a fixed size, that loses no letter.

Merges of frequent pairs are as in Sennrich et al. (ACL 2016), on bytes as in GPT-2 (Radford et al., 2019): no text is
without tokens, and tokens give back the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from hwloop.search.tokens import END, PAD, START

SPECIAL = {"[PAD]": PAD, "[START]": START, "[END]": END}


class Subwords:
    """A vocabulary of pieces of words, learned from texts or read from a file."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        """Take a tokenizer whose first tokens are those of `hwloop.search.tokens`."""
        self._tokenizer = tokenizer

    @classmethod
    def learned(cls, texts: Iterable[str], vocabulary: int) -> Subwords:
        """Return a vocabulary of at most this size: the same for the same texts in the same order."""
        tokenizer = tokenizers.Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=sorted(SPECIAL, key=SPECIAL.__getitem__),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @classmethod
    def read(cls, path: Path) -> Subwords:
        """Return the vocabulary that `write` wrote."""
        return cls(tokenizers.Tokenizer.from_file(str(path)))

    def write(self, path: Path) -> None:
        """Write a tokenizer.json."""
        self._tokenizer.save(str(path))

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, without those that start and end a sentence."""
        return [one.ids for one in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, tokens: np.ndarray) -> list[str]:
        """Return the texts of rows of tokens [texts, tokens], each up to its END; what is no token is left out."""
        rows = [row[: np.argmax(row == END)] if (row == END).any() else row for row in tokens]
        found: list[str] = self._tokenizer.decode_batch([[int(token) for token in row if token > END] for row in rows])
        return [text.strip() for text in found]
