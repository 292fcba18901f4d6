"""NSGA-II: selection and survival by dominance, crowding and constraints."""

from dataclasses import replace
from statistics import fmean

import pytest

from hwloop.search.goals import Box, Constraint, hypervolume
from hwloop.search.strategies.nsga2 import Nsga2
from hwloop.search.strategies.random import RandomSearch
from hwloop.testing.strategy import GENOME, GOAL, StrategyContract, evaluated, run


class TestNsga2(StrategyContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return Nsga2


def test_it_finds_more_than_random_search():
    box = Box.around(GOAL, [evaluated(candidate) for candidate in list(GENOME.points())[::50]])
    found = {
        make: fmean(hypervolume(GOAL, run(make(GENOME, GOAL, seed), 150), box) for seed in range(4))
        for make in (Nsga2, RandomSearch)
    }
    assert found[Nsga2] > found[RandomSearch]


def test_parents_are_the_feasible_ones_where_there_are_enough():
    goal = replace(GOAL, constraints=(Constraint("latency", 0.3, at_most=True),))
    strategy = Nsga2(GENOME, goal, 0)
    run(strategy, 200)
    assert len(strategy.parents) == 20
    assert all(goal.violation(evaluated(candidate).values) == 0 for candidate in strategy.parents)
