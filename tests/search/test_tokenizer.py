"""Texts to tokens and masks of one length."""

import json

import numpy as np
import pytest

from hwloop.errors import UsageError
from hwloop.search.tokenizer import Tokenizer

WORDS = ("[PAD]", "[UNK]", "a", "good", "film")


def write(folder, words=WORDS):
    """A tokenizer.json of whole words, with a length and padding of its own, which do not count."""
    path = folder / "tokenizer.json"
    content = {
        "version": "1.0",
        "truncation": {"max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: at for at, word in enumerate(words)}, "unk_token": "[UNK]"},
    }
    path.write_text(json.dumps(content))
    return path


def test_short_texts_are_padded_and_long_ones_cut(tmp_path):
    tokenizer = Tokenizer(write(tmp_path))
    ids, mask = tokenizer.encode(["A good film", "a great big good film", ""], 4)
    assert ids.tolist() == [[2, 3, 4, 0], [2, 1, 1, 3], [0, 0, 0, 0]]
    assert mask.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
    assert ids.dtype == mask.dtype == np.int64
    assert tokenizer.vocabulary == len(WORDS)


def test_no_texts_are_no_rows(tmp_path):
    ids, mask = Tokenizer(write(tmp_path)).encode([], 4)
    assert ids.shape == mask.shape == (0, 4)


def test_what_is_no_tokenizer_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"missing\.json: this file cannot be read"):
        Tokenizer(tmp_path / "missing.json")
    with pytest.raises(UsageError, match=r"no token \[PAD\]"):
        Tokenizer(write(tmp_path, ("[UNK]", "a")))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UsageError, match="this is no tokenizer"):
        Tokenizer(tmp_path / "tokenizer.json")
