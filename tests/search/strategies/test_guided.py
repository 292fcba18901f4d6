"""The default strategy: it fills the space, then measures where the front can grow."""

from dataclasses import replace
from statistics import fmean

import pytest

from hwloop.records import Candidate, QuantPolicy
from hwloop.search.goals import Box, Goal, hypervolume
from hwloop.search.strategies.guided import Guided
from hwloop.search.strategies.linas import Linas
from hwloop.search.strategies.nsga2 import Nsga2
from hwloop.search.strategies.registry import load_strategy
from hwloop.testing.strategy import CHOICES, GENOME, GOAL, StrategyContract, evaluated, run

BOX = Box.around(GOAL, [evaluated(candidate) for candidate in list(GENOME.points())[::50]])


class TestGuided(StrategyContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return Guided


class TestLinas(StrategyContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return Linas


def volume(make, seed, budget):
    return hypervolume(GOAL, run(make(GENOME, GOAL, seed), budget, batch=12), BOX)


def test_it_is_the_default():
    assert isinstance(load_strategy("guided", GENOME, GOAL, 0), Guided)


def test_the_first_batch_has_the_ends_of_the_space_in_fp32_and_in_8_bits():
    asked = set(Guided(GENOME, GOAL, 0).ask(10))
    blocks = {f"blocks.{block}": "int8-static" for block in range(3)}
    assert {Candidate("formula", CHOICES.smallest), Candidate("formula", CHOICES.largest)} <= asked
    assert Candidate("formula", CHOICES.largest, QuantPolicy({**blocks, "head": "int8-static"})) in asked


def test_it_finds_in_half_the_measurements_what_nsga2_does_not():
    half, whole = (
        fmean(volume(make, seed, budget) for seed in range(2)) for make, budget in ((Guided, 48), (Nsga2, 96))
    )
    assert half > whole


def test_it_comes_to_what_keeps_a_constraint():
    goal = replace(GOAL, constraints=Goal.parse("accuracy", ["latency<=300us", "accuracy>=70%"]).constraints)
    everything = [evaluated(candidate) for candidate in GENOME.points()]
    assert sum(goal.violation(one.values) == 0 for one in everything) < len(everything) / 15
    found = run(Guided(GENOME, goal, 0), 48, batch=12)
    assert len([one for one in found[24:] if goal.violation(one.values) == 0]) > 6


def test_where_nothing_keeps_a_constraint_it_comes_close():
    goal = Goal.parse("accuracy,latency", ["latency<=10us"])
    least = min(goal.violation(evaluated(candidate).values) for candidate in GENOME.points())
    assert min(goal.violation(one.values) for one in run(Guided(GENOME, goal, 0), 40)) <= 1.1 * least


def test_several_devices_are_searched_at_once():
    goal = Goal.parse("accuracy,latency@one,latency@other")

    def on_both(result):
        values = result.values
        return replace(
            result,
            values={
                "accuracy": values["accuracy"],
                "latency@one": values["latency"],
                "latency@other": values["size"] / 1000,
            },
        )

    strategy = Guided(GENOME, goal, 0)
    for _ in range(3):
        strategy.tell([on_both(evaluated(candidate)) for candidate in strategy.ask(10)])
    assert len(strategy.ask(10)) == 10
