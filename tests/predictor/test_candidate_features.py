"""The choices of a space become columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.errors import UsageError
from hwloop.predictor.candidate_features import CandidateEncoding, joined
from hwloop.predictor.graph_features import graph_features
from hwloop.records import Arch, Candidate, Kernel, KernelKind, QuantPolicy, Scheme

SOFTMAX = Kernel(KernelKind.SOFTMAX, "fp32", {"m": 4, "n": 8}, 0, 160, 0, 128, 128, 1)


def candidate(policy=None, space="vit", **choices):
    return Candidate(space, Arch(choices), QuantPolicy(policy or {}))


DEEP = candidate(depth=2, mixer="softmax", heads1=4)
SHALLOW = candidate(depth=1, mixer="pool")


def test_numbers_words_and_choices_that_are_not_always_there():
    encoding = CandidateEncoding.of([DEEP, SHALLOW])
    assert encoding.columns == ("depth", "heads1", "mixer=pool", "mixer=softmax", "no heads1")
    features = encoding.encode([DEEP, SHALLOW])
    assert features.values.tolist() == [[2, 4, 0, 1, 0], [1, 0, 1, 0, 1]]


def test_a_policy_is_a_choice_like_the_others():
    quantized = candidate({"*": Scheme.INT8_STATIC}, depth=2)
    encoding = CandidateEncoding.of([candidate(depth=2), quantized])
    assert encoding.columns == ("depth", "policy *=int8-static", "no policy *")
    assert encoding.encode([quantized]).values.tolist() == [[2, 1, 0]]


def test_a_word_that_was_not_seen_is_none_of_those_that_were():
    encoding = CandidateEncoding.of([DEEP, SHALLOW])
    assert encoding.encode([candidate(depth=1, mixer="linear", heads1=2)]).values.tolist() == [[1, 2, 0, 0, 0]]


def test_candidates_of_two_spaces_have_no_encoding_in_common():
    with pytest.raises(UsageError, match="2 spaces"):
        CandidateEncoding.of([DEEP, candidate(space="bert", depth=1)])


def test_a_choice_that_is_a_number_and_a_word_is_refused():
    with pytest.raises(UsageError, match="'depth' is a number and a word"):
        CandidateEncoding.of([candidate(depth=1), candidate(depth="one")])


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b", "c"]),
            st.integers(0, 9),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_different_candidates_have_different_rows_and_the_encoding_comes_back_from_json(choices):
    candidates = [candidate(kind=str(len(one)), **one) for one in choices]
    encoding = CandidateEncoding.of(candidates)
    rows = {tuple(row) for row in encoding.encode(candidates).values}
    assert len(rows) == len({one.digest for one in candidates})
    assert CandidateEncoding.from_json(encoding.as_json()) == encoding


def test_both_kinds_of_features_stand_side_by_side():
    graph = graph_features([[SOFTMAX], [SOFTMAX, SOFTMAX]])
    both = joined(graph, CandidateEncoding.of([DEEP, SHALLOW]).encode([DEEP, SHALLOW]))
    assert both.columns[-5:] == ("depth", "heads1", "mixer=pool", "mixer=softmax", "no heads1")
    assert both.kernels is graph.kernels
    assert np.array_equal(both.values[:, : len(graph.columns)], graph.values)
    with pytest.raises(UsageError, match="2 rows cannot stand beside 1"):
        joined(graph, CandidateEncoding.of([DEEP]).encode([DEEP]))
