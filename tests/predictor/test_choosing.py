"""Which rows to measure next."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.errors import UsageError
from hwloop.predictor.choosing import most_informative


def total_variance(features, chosen, noise):
    known = features[chosen]
    covariance = np.linalg.inv(np.eye(features.shape[1]) + known.T @ known / noise)
    return np.trace(features @ covariance @ features.T)


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_each_choice_is_the_one_that_leaves_least_variance(seed):
    features = np.random.default_rng(seed).standard_normal((12, 3))
    chosen = most_informative(features, np.ones(3), 4, noise=0.1).tolist()
    assert len(set(chosen)) == 4
    for step, choice in enumerate(chosen):
        others = [row for row in range(12) if row not in chosen[:step]]
        left = [total_variance(features, [*chosen[:step], row], 0.1) for row in others]
        assert total_variance(features, [*chosen[:step], choice], 0.1) == pytest.approx(min(left))


def test_what_was_measured_is_not_asked_again():
    features = np.array([[10.0, 0.0], [0.0, 1.0]])
    assert most_informative(features, np.ones(2), 1, noise=0.1).tolist() == [0]
    assert most_informative(features, np.ones(2), 1, noise=0.1, measured=features[:1]).tolist() == [1]


def test_more_than_there_are_is_refused():
    with pytest.raises(UsageError, match="4 rows to choose from 3"):
        most_informative(np.eye(3), np.ones(3), 4, noise=0.1)
