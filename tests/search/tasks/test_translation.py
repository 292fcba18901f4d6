"""Tasks of translation: what a sentence becomes, the loss and BLEU."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwloop.errors import UsageError
from hwloop.records import TensorSpec
from hwloop.search.tasks.translation import Sentences, translation_split
from hwloop.search.tokens import END, IGNORED, PAD, START
from hwloop.testing.translation import DICTIONARY, VOCABULARY

INPUTS = (TensorSpec("source", "int64", (1, 5)), TensorSpec("target", "int64", (1, 4)))
ROWS = st.lists(st.integers(END + 1, VOCABULARY - 1), max_size=6)


def split(sources, targets):
    return translation_split("t", INPUTS, Sentences.of(sources), Sentences.of(targets))


def test_a_pair_becomes_a_source_a_target_and_labels_one_step_on():
    found = split([[7, 8]], [[9, 6]])
    assert found.inputs["source"].tolist() == [[7, 8, END, PAD, PAD]]
    assert found.inputs["target"].tolist() == [[START, 9, 6, PAD]]
    assert found.labels.tolist() == [[9, 6, END, IGNORED]]


@given(st.lists(st.tuples(ROWS, ROWS), max_size=8))
def test_pairs_that_fit_are_all_there_in_their_order(pairs):
    found = split([one for one, _ in pairs], [other for _, other in pairs])
    fitting = [(one, other) for one, other in pairs if len(one) <= 4 and len(other) <= 3]
    sources, labels = found.inputs["source"].tolist(), found.labels.tolist()
    assert [row[: row.index(END)] for row in sources] == [one for one, _ in fitting]
    assert [row[: row.index(END)] for row in labels] == [other for _, other in fitting]
    for row, (_, other) in zip(found.inputs["target"].tolist(), fitting, strict=True):
        assert row == [START, *other, *[PAD] * (3 - len(other))]


def test_the_loss_counts_no_filling_and_never_asks_for_certainty():
    labels = torch.tensor([[3, END, IGNORED]])
    logits = torch.randn(1, 3, VOCABULARY)
    loss = DICTIONARY.loss(logits, labels)
    logits[0, 2] += torch.randn(VOCABULARY)
    assert DICTIONARY.loss(logits, labels) == loss
    certain = torch.full((1, 3, VOCABULARY), -50.0)
    certain[0, 0, 3] = certain[0, 1, END] = 50.0
    assert DICTIONARY.loss(certain, labels) > 1


def test_a_network_of_another_vocabulary_is_refused():
    with pytest.raises(UsageError, match=f"has {VOCABULARY} tokens, and the network 7"):
        DICTIONARY.loss(torch.zeros(1, 3, 7), torch.zeros(1, 3, dtype=torch.int64))


def test_bleu_is_sacrebleus():
    wanted = np.array([[3, 4, 5, 6, 7, END], [5, 5, 6, 8, END, IGNORED]])
    right = np.where(wanted == IGNORED, 9, wanted)  # what stands after END does not count
    near = right.copy()
    near[0, 4] = 9
    assert DICTIONARY.metric(right, wanted) == pytest.approx(1.0)
    # 8 of 9 words, 6 of 7 pairs, 4 of 5 triples, 2 of 3 quadruples are right, and none is missing.
    assert DICTIONARY.metric(near, wanted) == pytest.approx((8 / 9 * 6 / 7 * 4 / 5 * 2 / 3) ** 0.25)
    assert DICTIONARY.metric(np.full_like(wanted, PAD), wanted) == 0.0
