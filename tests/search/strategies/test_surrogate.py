"""Predicted burdens, and the search over them."""

from random import Random

import numpy as np
import pytest

from hwloop.search.strategies.surrogate import Surrogate, burden, distinct_columns, value_of
from hwloop.testing.strategy import GENOME, GOAL, evaluated


@pytest.fixture(scope="module")
def results():
    random = Random(0)
    return [evaluated(candidate) for candidate in dict.fromkeys(GENOME.sample(random) for _ in range(160))]


@pytest.fixture(scope="module")
def surrogate(results):
    made = Surrogate(GENOME, GOAL, 0)
    made.fit(results[:60])
    return made


def test_predictions_follow_what_was_found(surrogate, results):
    forecast = surrogate.predict(GENOME.codes([one.candidate for one in results[60:]]))
    found = np.array([[burden(key, one.values[key]) for key in GOAL.keys] for one in results[60:]])
    left = ((forecast.mean - found) ** 2).mean(axis=0) / found.var(axis=0)
    assert left.max() < 0.15
    inside = np.abs(forecast.mean - found) <= 1.645 * forecast.deviation
    assert inside.mean() > 0.7


def test_what_is_found_is_new_and_predicted_to_be_good(surrogate, results):
    found = surrogate.search(results[:60], 0.0, seed=1)
    candidates = [GENOME.coded(code) for code in found]
    known = {one.candidate for one in results[:60]}
    assert len(set(candidates)) == len(candidates) > 20 and not known & set(candidates)
    assert np.array_equal(found, surrogate.search(results[:60], 0.0, seed=1))
    best = min(one.values["latency"] for one in results[:60])
    assert min(evaluated(candidate).values["latency"] for candidate in candidates) <= best


@pytest.mark.parametrize(("key", "value"), [("accuracy", 0.93), ("latency@pi4", 3e6), ("size", 2000.0)])
def test_a_burden_is_low_where_a_value_is_good(key, value):
    assert value_of(key, burden(key, value)) == pytest.approx(value)
    better = value * (1.01 if key == "accuracy" else 0.99)
    assert burden(key, better) < burden(key, value)


def test_a_network_that_is_never_wrong_has_a_burden():
    assert np.isfinite(burden("accuracy", 1.0))


def test_columns_that_say_the_same_count_once():
    random = np.random.default_rng(0)
    one, other = random.integers(0, 2, 30).astype(float), random.random(30)
    rows = np.column_stack([one, np.ones(30), 1 - one, other, 3 * other + 1])
    assert len(distinct_columns(rows)) == 2
