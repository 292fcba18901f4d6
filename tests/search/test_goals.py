"""Goals: what words mean, which results are wanted, and how far they fill the box."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.errors import UsageError
from hwloop.records import Arch, Candidate
from hwloop.search.goals import (
    Box,
    Constraint,
    Goal,
    Objective,
    closest,
    front,
    hypervolume,
    is_feasible,
    parse_objectives,
)
from hwloop.search.strategies.base import Result

GOAL = Goal.parse("accuracy,latency")
SMALL = st.integers(0, 4)


def result(number, accuracy=None, latency=None, size=1.0):
    values = None if accuracy is None else {"accuracy": accuracy, "latency": latency, "size": size}
    return Result(Candidate("space", Arch({"number": number})), values)


@pytest.mark.parametrize(
    ("word", "key", "limit", "at_most"),
    [
        ("latency<=5ms", "latency", 5.0, True),
        ("latency <= 500 us", "latency", 0.5, True),
        ("latency<=0.2s", "latency", 200.0, True),
        ("latency@pi4<=3e6", "latency@pi4", 3e6, True),
        ("latency@kitchen-pi<=7", "latency@kitchen-pi", 7.0, True),
        ("accuracy>=0.9", "accuracy", 0.9, False),
        ("accuracy>=90%", "accuracy", 0.9, False),
        ("size<=2MB", "size", 2e6, True),
        ("size<=1MiB", "size", 2.0**20, True),
        ("size<=500 kB", "size", 5e5, True),
    ],
)
def test_constraints_are_read_in_base_units(word, key, limit, at_most):
    assert Constraint.parse(word) == Constraint(key, pytest.approx(limit), at_most)


@pytest.mark.parametrize(
    ("word", "message", "remedy"),
    [
        ("latency<5ms", "'latency<5ms' cannot be read", "latency<=5ms"),
        ("latency=5ms", "cannot be read", "latency<=5ms"),
        ("speed<=5ms", "no objective 'speed'", "accuracy, latency, size"),
        ("latency<=5MB", "latency has no unit 'MB'", "us, ms, s"),
        ("size<=5ms", "size has no unit 'ms'", "kB, MB"),
        ("accuracy>=1.2.3", "'1.2.3' is no number", "accuracy>=90%"),
        ("size@pi4<=2MB", "latency alone is a device's", "latency@DEVICE"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_can(word, message, remedy):
    with pytest.raises(UsageError, match=message) as told:
        Constraint.parse(word)
    assert remedy in told.value.remedy and word in str(told.value)


def test_objectives_are_told_apart_by_device():
    found = parse_objectives("accuracy, latency@pi4,latency@local")
    assert found == (Objective("accuracy"), Objective("latency", "pi4"), Objective("latency", "local"))
    assert [objective.key for objective in found] == ["accuracy", "latency@pi4", "latency@local"]
    assert [objective.maximised for objective in found] == [True, False, False]


@pytest.mark.parametrize("words", ["accuracy,accuracy", "accuracy,", "speed", "latency@", "size@pi4"])
def test_wrong_objectives_are_refused(words):
    with pytest.raises(UsageError):
        parse_objectives(words)


def test_a_goal_names_the_values_that_it_needs():
    goal = Goal.parse("accuracy,latency", ["size<=2MB", "latency<=5ms"])
    assert goal.keys == ("accuracy", "latency", "size")
    assert goal.costs({"accuracy": 0.9, "latency": 3.0, "size": 1e6}) == (-0.9, 3.0)


def test_violations_are_shares_of_the_limits():
    goal = Goal.parse("accuracy,latency", ["latency<=4ms", "accuracy>=0.8"])
    assert goal.violation({"accuracy": 0.8, "latency": 4.0}) == 0
    assert goal.violation({"accuracy": 0.6, "latency": 5.0}) == pytest.approx(0.25 + 0.25)


@given(st.lists(st.tuples(SMALL, SMALL), max_size=12))
def test_the_front_is_what_no_other_result_beats(points):
    results = [result(number, accuracy, latency) for number, (accuracy, latency) in enumerate(points)]
    beaten = {
        one.candidate
        for one, other in itertools.permutations(results, 2)
        if GOAL.costs(other.values) != GOAL.costs(one.values)
        and all(a <= b for a, b in zip(GOAL.costs(other.values), GOAL.costs(one.values), strict=True))
    }
    assert front(GOAL, results) == [one for one in results if one.candidate not in beaten]


def test_failures_and_what_breaks_a_constraint_are_on_no_front():
    goal = Goal.parse("accuracy,latency", ["latency<=4ms"])
    results = [result(0), result(1, 0.9, 5.0), result(2, 0.8, 4.0)]
    assert front(goal, results) == results[2:]
    assert [is_feasible(goal, one) for one in results] == [False, False, True]
    assert front(goal, results[:2]) == []


def test_the_closest_breaks_the_constraints_least():
    goal = Goal.parse("accuracy,latency", ["latency<=4ms"])
    results = [result(0), result(1, 0.9, 6.0), result(2, 0.8, 5.0), result(3, 0.7, 5.0)]
    assert closest(goal, results) == results[2]
    assert closest(goal, results[:1]) is None


def test_the_hypervolume_is_the_share_of_the_box_that_is_dominated():
    box = Box(ideal=(-1.0, 0.0), reference=(0.0, 10.0))
    assert hypervolume(GOAL, [], box) == 0
    assert hypervolume(GOAL, [result(0, 1.0, 0.0)], box) == pytest.approx(1.0)
    both = [result(0, 0.5, 2.0), result(1, 0.25, 1.0), result(2), result(3, 0.9, 11.0)]
    assert hypervolume(GOAL, both, box) == pytest.approx(0.5 * 0.8 + 0.25 * 0.1)


@given(st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=8))
def test_the_hypervolume_never_falls(points):
    results = [result(number, accuracy / 4, latency) for number, (accuracy, latency) in enumerate(points)]
    box = Box.around(GOAL, results)
    volumes = [hypervolume(GOAL, results[:count], box) for count in range(len(results) + 1)]
    assert volumes == sorted(volumes) and volumes[-1] > 0


def test_a_box_needs_a_feasible_result():
    with pytest.raises(UsageError, match="no result is feasible"):
        Box.around(GOAL, [result(0)])
