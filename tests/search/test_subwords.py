"""Pieces of words: tokens give back every text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.search.subwords import Subwords
from hwloop.search.tokens import END, PAD, START

TEXTS = ["the library of the package", "la libreria del pacchetto", "the package has a library"] * 5
WORDS = Subwords.learned(TEXTS, 290)


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Z"])), max_size=5))
def test_tokens_give_back_every_text(words):
    text = " ".join(word for word in words if word)
    [tokens] = WORDS.encode([text])
    assert all(END < token < WORDS.vocabulary for token in tokens)
    assert WORDS.decode(np.array([[START, *tokens, END, PAD, *tokens]])) == [text]


def test_frequent_words_are_one_token_and_the_vocabulary_has_its_size():
    assert WORDS.vocabulary == 290
    [found] = WORDS.encode(["the package"])
    assert len(found) == 2


def test_the_same_texts_give_the_same_vocabulary_which_a_file_keeps(tmp_path):
    paths = [tmp_path / "one.json", tmp_path / "other.json"]
    for path in paths:
        Subwords.learned(TEXTS, 290).write(path)
    assert paths[0].read_text() == paths[1].read_text()
    assert Subwords.read(paths[0]).encode(TEXTS) == WORDS.encode(TEXTS)


@pytest.mark.parametrize("row", [[END], [PAD, PAD], [START, END, 50]])
def test_a_text_of_nothing_is_empty(row):
    assert WORDS.decode(np.array([row])) == [""]
