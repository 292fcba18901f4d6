"""A Gaussian process that says how sure it is."""

import numpy as np
import pytest

from hwloop.predictor.posterior import Posterior


def quantity(rows):
    return 2 * rows[:, 0] - rows[:, 1] + 0.5 * np.sin(3 * rows[:, 2])


@pytest.fixture
def rows():
    return np.random.default_rng(0).random((200, 5))


@pytest.mark.parametrize("count", [40, 80])
def test_intervals_hold_about_as_much_as_they_say(rows, count):
    noise = np.random.default_rng(1).normal(0, 0.05, len(rows))
    found = quantity(rows) + noise
    mean, deviation = Posterior.of(rows[:count], found[:count]).predict(rows[count:])
    inside = np.abs(mean - found[count:]) <= 1.645 * deviation
    assert 0.75 <= inside.mean() <= 1
    assert np.corrcoef(mean, found[count:])[0, 1] > 0.95


def test_it_is_less_sure_far_from_what_it_knows(rows):
    posterior = Posterior.of(rows[:40], quantity(rows[:40]))
    _, deviation = posterior.predict(np.stack([rows[0], np.full(5, 3.0)]))
    assert deviation[1] > 3 * deviation[0]


def test_residuals_of_rows_left_out_are_those_of_a_fit_without_them(rows):
    few, found = rows[:12], quantity(rows[:12])
    whole = Posterior.of(few, found)
    covariance = whole.covariance(whole.rows, whole.rows) + whole.noise * np.eye(12)
    others = np.arange(12) != 3
    target = (found - whole.centre) / whole.spread
    by_hand = covariance[3, others] @ np.linalg.solve(covariance[np.ix_(others, others)], target[others])
    assert target[3] - by_hand == pytest.approx(whole.weights[3] / whole.inverse[3, 3], rel=1e-3)


def test_a_quantity_that_never_changes_is_predicted(rows):
    mean, deviation = Posterior.of(rows[:10], np.full(10, 7.0)).predict(rows[10:])
    assert np.allclose(mean, 7.0) and np.isfinite(deviation).all()
