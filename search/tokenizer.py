"""Text to the whole numbers that encoders read, with the tokenizer.json that belongs to their weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tokenizers

from hwloop.errors import UsageError

PADDING = "[PAD]"


class Tokenizer:
    """A tokenizer out of a tokenizer.json; texts are cut and padded to one length."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            UsageError: it is no tokenizer.json, or has no token for padding.
        """
        try:
            content = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: this file cannot be read: {error}", remedy="Give a tokenizer.json.") from error
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(content)
        except Exception as error:  # the library raises nothing narrower
            raise UsageError(f"{path}: this is no tokenizer: {error}", remedy="Give a tokenizer.json.") from error
        padding = self._tokenizer.token_to_id(PADDING)
        if padding is None:
            raise UsageError(f"{path}: it has no token {PADDING}", remedy="Give the tokenizer.json of a BERT.")
        self._padding = padding

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str], length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return tokens and mask, [texts, length] int64 each; the mask is 0 where a shorter text was padded."""
        self._tokenizer.enable_truncation(length)
        self._tokenizer.enable_padding(pad_id=self._padding, pad_token=PADDING, length=length)
        found = self._tokenizer.encode_batch(list(texts))
        ids = np.array([one.ids for one in found], np.int64).reshape(-1, length)
        mask = np.array([one.attention_mask for one in found], np.int64).reshape(-1, length)
        return ids, mask
