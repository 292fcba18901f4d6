"""Rounds of choosing, measuring and fitting, on a simulated board."""

import pytest

from hwloop.learning.active import Goal, measure_actively
from hwloop.learning.fitting import Fitting
from hwloop.learning.pool import Pool, Wanted, draw_candidates
from hwloop.learning.rows import find_rows
from hwloop.records import Verdict


@pytest.fixture
def pool(networks):
    return Pool.of([(network,) for network in networks])


@pytest.fixture
def run(store, measured, networks, pool):
    """A function that measures actively; returns why it ended, and the batches it measured."""
    by_candidate = {network.candidate: network for network in networks}

    def run(goal, verdict=Verdict.VALID, rounds=None):
        batches = []

        def measure(candidates):
            batches.append(list(candidates))
            if rounds is not None and len(batches) > rounds:
                raise KeyboardInterrupt
            measured([by_candidate[candidate] for candidate in candidates], verdict)

        rows = lambda: find_rows(store, "local", "onnxruntime")  # noqa: E731
        return measure_actively(pool, goal, Fitting(), measure, rows), batches

    return run


def test_it_measures_in_batches_until_the_budget_is_spent(run):
    why, batches = run(Goal(budget=25, batch=10))
    assert [len(batch) for batch in batches] == [10, 10, 5] and "budget of 25" in why
    assert len({candidate for batch in batches for candidate in batch}) == 25


def test_it_stops_at_the_error_that_was_asked_for(run):
    why, batches = run(Goal(budget=60, batch=15, target_percent=20.0))
    assert "cross-validated error" in why and sum(map(len, batches)) < 60


def test_a_run_that_was_stopped_goes_on_without_measuring_anything_again(run):
    with pytest.raises(KeyboardInterrupt):
        run(Goal(budget=30, batch=10), rounds=2)
    why, batches = run(Goal(budget=30, batch=10))
    assert [len(batch) for batch in batches] == [10] and "budget" in why
    assert run(Goal(budget=30, batch=10))[1] == []


def test_candidates_that_cannot_be_measured_count_and_are_not_tried_again(run):
    _, batches = run(Goal(budget=15, batch=10), Verdict.INVALID)
    assert [len(batch) for batch in batches] == [10, 5]
    assert len({candidate for batch in batches for candidate in batch}) == 15


def test_it_ends_with_the_pool(run, pool):
    why, batches = run(Goal(budget=500, batch=40))
    assert sum(map(len, batches)) == len(pool.candidates) and "every candidate" in why


def test_the_first_batch_reaches_over_the_space(pool, networks):
    chosen = [networks[place] for place in pool.choose((), 10, None)]
    widths = {network.candidate.arch["width"] for network in chosen}
    assert {64, 320} <= widths and {network.candidate.arch["mixer"] for network in chosen} == {"pool", "softmax"}


def test_the_same_is_chosen_again_for_the_same_knowledge(pool):
    assert pool.choose({1, 2}, 8, None) == pool.choose({2, 1}, 8, None)
    assert not {1, 2} & set(pool.choose({1, 2}, 58, None))


@pytest.mark.parametrize("runtime", ["onnxruntime", "tvm"])
def test_schemes_are_drawn_that_the_runtime_can_run(runtime):
    wanted = Wanted("mobile-mini", 30, seed=4, policies=True, runtime=runtime)
    drawn = draw_candidates(wanted)
    assert drawn == draw_candidates(wanted) and len(set(drawn)) == 30
    rules = {rule for candidate in drawn for rule in candidate.policy.rules.items()}
    assert {"stem", "stages.1", "head"} <= {block for block, _ in rules}
    four_bits = {block for block, scheme in rules if scheme == "int4-weight"}
    assert four_bits == ({"head"} if runtime == "onnxruntime" else set())


def test_without_policies_all_is_fp32():
    assert not any(candidate.policy.rules for candidate in draw_candidates(Wanted("mobile-mini", 5)))
