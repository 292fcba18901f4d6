"""Expected hypervolume improvement, against what the hypervolume says."""

import numpy as np
import pytest

from hwloop.records import Arch, Candidate
from hwloop.search.goals import Box, Goal, hypervolume
from hwloop.search.strategies.base import Result
from hwloop.search.strategies.expected import box_points, choose, reach, undominated

GOAL = Goal.parse("latency,size")
BOX = Box((0.0, 0.0), (1.0, 1.0))
SURE = 1e-9


def volume(costs):
    candidate = Candidate("space", Arch({}))
    return hypervolume(GOAL, [Result(candidate, {"latency": x, "size": y}) for x, y in costs], BOX)


def test_a_candidate_that_is_sure_adds_what_the_hypervolume_grows_by():
    front = np.array([[0.2, 0.7], [0.6, 0.3]])
    points = box_points(np.zeros(2), np.ones(2), seed=0)
    left = undominated(points, front)
    assert 1 - len(left) / len(points) == pytest.approx(volume(front), abs=0.01)
    one = np.array([[0.4, 0.4]])
    gain = reach(left, one, np.full((1, 2), SURE)).sum() / len(points)
    assert gain == pytest.approx(volume([*front, one[0]]) - volume(front), abs=0.01)


def test_it_is_the_mean_over_what_may_come_of_a_candidate():
    front, mean, deviation = np.array([[0.4, 0.4]]), np.array([[0.3, 0.5]]), np.array([[0.1, 0.05]])
    points = box_points(np.zeros(2), np.ones(2), seed=1)
    expected = reach(undominated(points, front), mean, deviation).sum() / len(points)
    draws = np.random.default_rng(0).normal(mean, deviation, (2000, 2)).clip(0, None)
    gains = [volume([*front, one]) - volume(front) for one in draws]
    assert expected == pytest.approx(np.mean(gains), abs=0.01)


def test_a_batch_does_not_take_the_same_twice():
    points = box_points(np.zeros(2), np.ones(2), seed=2)
    mean = np.array([[0.1, 0.6], [0.11, 0.6], [0.6, 0.1], [0.9, 0.95]])
    chosen = choose(reach(points, mean, np.full((4, 2), 0.01)), np.ones(4), 2)
    assert chosen == [0, 2] or chosen == [2, 0]


def test_what_cannot_add_anything_is_not_chosen():
    points = undominated(box_points(np.zeros(2), np.ones(2), seed=3), np.array([[0.5, 0.5]]))
    probability = reach(points, np.array([[0.6, 0.6], [0.1, 0.9]]), np.full((2, 2), SURE))
    assert choose(probability, np.ones(2), 5) == [1]
    assert choose(probability, np.array([1.0, 0.0]), 5) == []


def test_the_points_of_a_box_are_those_of_its_seed():
    one, again, other = (box_points(np.zeros(3), np.ones(3), seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
