"""HAT's evolution: the best that keeps a hard constraint."""

from dataclasses import replace

import pytest

from hwloop.search.goals import Constraint, Goal, closest, front
from hwloop.search.strategies.evolutionary import Evolutionary
from hwloop.search.strategies.random import RandomSearch
from hwloop.testing.strategy import GENOME, GOAL, StrategyContract, evaluated, run


class TestEvolutionary(StrategyContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return Evolutionary


@pytest.fixture(scope="module")
def everything():
    return [evaluated(candidate) for candidate in GENOME.points()]


def best(results, limit_ms):
    goal = Goal.parse("accuracy", [f"latency<={limit_ms}ms"])
    return max((one.values["accuracy"] for one in front(goal, results)), default=0.0)


@pytest.mark.parametrize("limit_ms", [0.3, 0.6])
def test_it_comes_closer_to_the_best_under_a_constraint_than_random_search(everything, limit_ms):
    goal = replace(GOAL, constraints=(Constraint("latency", limit_ms, at_most=True),))
    gaps = {
        make: sum(best(everything, limit_ms) - best(run(make(GENOME, goal, seed), 120), limit_ms) for seed in range(4))
        for make in (Evolutionary, RandomSearch)
    }
    assert gaps[Evolutionary] < gaps[RandomSearch]


def test_where_nothing_keeps_the_constraint_it_comes_close(everything):
    goal = Goal.parse("accuracy,latency", ["latency<=10us"])
    found = closest(goal, run(Evolutionary(GENOME, goal, 0), 150))
    least = min(goal.violation(one.values) for one in everything)
    assert goal.violation(found.values) <= 1.2 * least
