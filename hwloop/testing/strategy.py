"""What every strategy must do. Subclass `StrategyContract` and give it the fixture `make`:

class TestMyStrategy(StrategyContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return MyStrategy  # or any function of a genome, a goal and a seed

`GENOME`, `GOAL` and `evaluated` are a search that costs nothing: networks whose worth is a formula.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from hwloop.records import Candidate, Scheme
from hwloop.search.genome import Genome
from hwloop.search.goals import Goal
from hwloop.search.spaces.choices import Choice, Choices, one_of
from hwloop.search.strategies.base import Result, Strategy

Make = Callable[[Genome, Goal, int], Strategy]

DEPTHS = (1, 2, 3)
CHOICES = Choices(
    (
        Choice("width", (16, 32, 48, 64)),
        Choice("depth", DEPTHS),
        *(
            choice
            for block in range(3)
            for choice in (
                Choice(f"blocks.{block}.mixer", ("pool", "attention"), one_of("depth", DEPTHS[block:])),
                Choice(f"blocks.{block}.ratio", (1.0, 3.0), one_of("depth", DEPTHS[block:])),
            )
        ),
    )
)
EIGHT_BITS = (Scheme.FP32, Scheme.INT8_STATIC)
GENOME = Genome(
    "formula",
    CHOICES,
    {f"blocks.{block}": EIGHT_BITS for block in range(3)} | {"head": (*EIGHT_BITS, Scheme.INT4_WEIGHT)},
    {f"blocks.{block}": one_of("depth", DEPTHS[block:]) for block in range(3)},
)
SMALL = Genome("formula", CHOICES.restricted({"width": [16, 64], "depth": [1]}), {"head": EIGHT_BITS})
GOAL = Goal.parse("accuracy,latency,size")
SPEED = {Scheme.FP32: 1.0, Scheme.INT8_DYNAMIC: 0.8, Scheme.INT8_STATIC: 0.5, Scheme.INT4_WEIGHT: 1.1}
BYTES = {Scheme.FP32: 4.0, Scheme.INT8_DYNAMIC: 1.0, Scheme.INT8_STATIC: 1.0, Scheme.INT4_WEIGHT: 0.6}
LOSS = {Scheme.FP32: 0.0, Scheme.INT8_DYNAMIC: 0.002, Scheme.INT8_STATIC: 0.004, Scheme.INT4_WEIGHT: 0.02}


def evaluated(candidate: Candidate) -> Result:
    """Return what a formula says that a candidate of `GENOME` is worth."""
    arch, policy = candidate.arch, candidate.policy
    width = float(arch["width"])
    latency_ms, weights, power, loss = 0.05, 0.0, 0.0, LOSS[policy.scheme("head")]
    for block in range(int(arch["depth"])):
        scheme = policy.scheme(f"blocks.{block}")
        attention = arch[f"blocks.{block}.mixer"] == "attention"
        ratio = float(arch[f"blocks.{block}.ratio"])
        products = width * width * (2 * ratio + 4 * attention)
        latency_ms += products * SPEED[scheme] / 20_000 + 0.15 * attention
        weights += products * BYTES[scheme]
        power += np.sqrt(ratio) * (1.6 if attention else 1.0) * (1 - 0.1 * block)
        loss += LOSS[scheme] * (2 if block == 0 else 1)
    size_bytes = weights + 10 * width * BYTES[policy.scheme("head")] + 2000
    accuracy = 0.95 - 0.5 / (1 + power * width / 24) - loss
    return Result(candidate, {"accuracy": accuracy, "latency": latency_ms, "size": size_bytes})


def run(strategy: Strategy, budget: int, batch: int = 16) -> list[Result]:
    """Return the results of a search in batches, until the budget or the space is spent."""
    found: list[Result] = []
    while len(found) < budget and (asked := strategy.ask(min(batch, budget - len(found)))):
        told = [evaluated(candidate) for candidate in asked]
        strategy.tell(told)
        found += told
    return found


class StrategyContract:
    """New points of the genome every time, the same ones for the same seed and results, and always an end."""

    def test_asks_for_candidates_of_the_genome(self, make: Make) -> None:
        for result in run(make(GENOME, GOAL, 0), 32):
            candidate = result.candidate
            assert CHOICES.arch(candidate.arch.choices) == candidate.arch
            assert GENOME.canonical(candidate) == candidate and candidate.space == "formula"

    def test_asks_for_as_many_as_wanted_and_for_none_twice(self, make: Make) -> None:
        strategy = make(GENOME, GOAL, 1)
        asked = [*strategy.ask(3), *strategy.ask(9)]  # before it was told anything
        strategy.tell([evaluated(candidate) for candidate in asked])
        for count in (1, 7, 20, 4):
            more = strategy.ask(count)
            assert len(more) == count
            asked += more
            strategy.tell([evaluated(candidate) for candidate in more])
        asked += strategy.ask(5)
        assert len(set(asked)) == len(asked) == 49

    def test_the_same_seed_and_results_give_the_same_candidates(self, make: Make) -> None:
        one, again, other = (_asked(run(make(GENOME, GOAL, seed), 32)) for seed in (3, 3, 4))
        assert one == again != other

    def test_a_search_that_is_replayed_goes_on_as_if_it_had_not_stopped(self, make: Make) -> None:
        whole = run(make(GENOME, GOAL, 5), 48)
        resumed = make(GENOME, GOAL, 5)
        for start in range(0, 32, 16):
            assert resumed.ask(16) == _asked(whole[start : start + 16])
            resumed.tell(whole[start : start + 16])
        assert _asked(run(resumed, 16)) == _asked(whole[32:])

    def test_no_random_state_but_its_own_is_used(self, make: Make) -> None:
        before = _global_states()
        run(make(GENOME, GOAL, 6), 32)
        assert _global_states() == before

    def test_a_small_space_is_searched_to_its_end(self, make: Make) -> None:
        strategy = make(SMALL, GOAL, 7)
        found = run(strategy, 1000)
        assert len(set(_asked(found))) == len(found) == SMALL.count()
        assert strategy.ask(3) == []

    def test_what_it_is_told_without_having_asked_is_not_asked_for(self, make: Make) -> None:
        strategy = make(SMALL, GOAL, 8)
        points = list(SMALL.points())
        strategy.tell([evaluated(candidate) for candidate in points[::2]])
        assert set(_asked(run(strategy, 1000))) == set(points[1::2])

    def test_failures_do_not_stop_it(self, make: Make) -> None:
        strategy = make(GENOME, GOAL, 9)
        for round_number in range(6):
            asked = strategy.ask(6)
            assert len(asked) == 6
            failed = round_number < 2  # of the first ones, none is left to learn from
            strategy.tell(
                [Result(one, None) if failed or place % 3 == 0 else evaluated(one) for place, one in enumerate(asked)]
            )

    def test_constraints_that_nothing_keeps_do_not_stop_it(self, make: Make) -> None:
        impossible = replace(GOAL, constraints=Goal.parse("accuracy", ["latency<=1us", "accuracy>=99%"]).constraints)
        assert len(run(make(GENOME, impossible, 10), 40)) == 40


def _asked(results: Sequence[Result]) -> list[Candidate]:
    return [result.candidate for result in results]


def _global_states() -> tuple[object, ...]:
    numpys = np.random.get_state(legacy=False)["state"]
    return random.getstate(), numpys["pos"], numpys["key"].tobytes()
