"""A verdict follows from the turns of all sets, and from nothing below the noise floor."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.compare.judge import is_regression, judge
from hwloop.records import Evidence
from hwloop.records.comparison import ComparisonSet, Finding, Turn

ORDERS = ((0, 1, 2, 2, 1, 0), (1, 0, 2, 2, 0, 1), (2, 1, 0, 0, 1, 2))


def made_set(index, times_ns, draw=None, spread=0.0, outputs=(True, True, True)):
    """Rounds in which A, B and the control take the times given, give or take `spread`."""
    draw = draw or random.Random(index)
    rounds = tuple(
        tuple(
            Turn(number, tuple(max(1, round(times_ns[number] * (1 + draw.gauss(0, spread)))) for _ in range(9)))
            for number in order
        )
        for order in ORDERS
    )
    return ComparisonSet(index, "2026-01-01T00:00:00", rounds, outputs, Evidence(), Evidence())


def sets(ratio, spread, count=12):
    return [made_set(index, (1e6, 1e6 * ratio, 1e6), spread=spread) for index in range(count)]


@pytest.mark.parametrize(("ratio", "finding"), [(1.05, Finding.SLOWER), (1 / 1.05, Finding.FASTER)])
def test_five_percent_show_through_two_percent_of_noise(ratio, finding):
    judgement = judge(sets(ratio, 0.02), emulated=False)
    assert judgement.finding is finding
    assert judgement.interval[0] <= ratio <= judgement.interval[1]
    assert judgement.ratio == pytest.approx(ratio, rel=0.02)
    assert judgement.a_median_ms == pytest.approx(1.0, rel=0.02)


def test_alike_ones_are_not_told_apart():
    assert judge(sets(1.0, 0.02), emulated=False).finding is Finding.NONE


def test_a_difference_that_the_control_shows_too_is_not_claimed():
    """A beside itself seems 6 % slower here, so 5 % mean nothing."""
    odd = [made_set(index, (1e6, 1.05e6, 1.06e6), spread=0.001) for index in range(12)]
    judgement = judge(odd, emulated=False)
    assert judgement.finding is Finding.NONE
    assert judgement.floor > 0.05


def test_steady_drift_weighs_on_both_alike():
    """Each turn takes 1 % longer than the one before it: there and back cancels that out."""
    drifting = []
    for index in range(12):
        steps = iter(range(100))
        rounds = tuple(tuple(Turn(n, (round(1e9 * 1.01 ** next(steps)),)) for n in order) for order in ORDERS)
        drifting.append(ComparisonSet(index, "2026-01-01T00:00:00", rounds, (True, True, True), Evidence(), Evidence()))
    assert judge(drifting, emulated=False).ratio == pytest.approx(1.0, abs=1e-6)


def test_too_few_sets_say_nothing_but_that():
    judgement = judge(sets(2.0, 0.0, count=7), emulated=False)
    assert judgement.finding is Finding.NONE and judgement.ratio is None
    assert "8 are needed" in judgement.reasons[0]


def test_wrong_outputs_are_told_whatever_the_times():
    wrong = [made_set(index, (1e6, 1e6, 1e6), outputs=(True, False, True)) for index in range(10)]
    assert judge(wrong, emulated=False).reasons == ("outputs differ: B's outputs are wrong in 10 of 10 sets",)


def test_counts_differ_as_soon_as_they_are_not_equal():
    def counted(b):
        turns = tuple(Turn(number, (count,)) for number, count in enumerate((1_000_000, b, 1_000_000)))
        return ComparisonSet(0, "2026-01-01T00:00:00", (turns,), (True, True, True), Evidence(), Evidence())

    assert judge([counted(1_000_100)] * 3, emulated=True).finding is Finding.SLOWER
    assert judge([counted(1_000_000)] * 3, emulated=True).finding is Finding.NONE


@given(st.floats(0.0, 0.2))
def test_a_regression_is_beyond_the_limit_with_its_whole_interval(limit):
    judgement = judge(sets(1.1, 0.01), emulated=False)
    assert is_regression(judgement, limit) == (judgement.interval[0] > 1 + limit)


def test_what_is_faster_is_no_regression():
    assert not is_regression(judge(sets(0.5, 0.01), emulated=False), 0.0)
