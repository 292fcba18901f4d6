"""Which rows to measure next."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.errors import UsageError
from hwloop.predictor.choosing import most_informative, next_to_measure
from hwloop.predictor.features import Features
from hwloop.predictor.polynomial import Linear


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


def test_what_is_chosen_teaches_more_than_random_rows():
    chance = np.random.default_rng(0)
    values = np.exp(chance.normal(0, 0.5, (300, 8)))
    latencies_ms = 5 + values.sum(axis=1)
    features = Features.of([f"c{index}" for index in range(8)], values)

    def error(rows):
        model = Linear()
        model.fit(features.take(rows), (latencies_ms * np.exp(0.02 * chance.standard_normal(300)))[rows])
        return np.abs(model.predict_ms(features) / latencies_ms - 1).mean()

    first = next_to_measure(features, 10)
    second = next_to_measure(features, 10, features.take(first))
    assert not set(first) & set(second)
    random = [error(chance.permutation(300)[:20]) for _ in range(10)]
    assert error(np.concatenate([first, second])) < np.mean(random)


def test_kernels_alone_are_enough_to_choose_by(kernels):
    features, _ = kernels(30)
    chosen = next_to_measure(features, 5)
    assert len(set(chosen.tolist())) == 5
    assert not set(next_to_measure(features, 3, features.take(chosen)).tolist()) & set(chosen.tolist())


def test_candidates_of_other_columns_are_refused(networks):
    features, _, _ = networks(10)
    other = Features.of(["a"], np.ones((3, 1)))
    with pytest.raises(UsageError, match="not those that the model learned from"):
        next_to_measure(features, 3, other)
