"""Where differences lie, and how sure that is."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.compare.signed_rank import least_sets, locate

values = st.lists(st.floats(-100, 100), min_size=8, max_size=30)


@given(values)
def test_the_interval_holds_the_estimate_and_lies_within_the_values(found):
    place = locate(found, 0.99)
    assert min(found) <= place.low <= place.estimate <= place.high <= max(found)


@given(values)
def test_swapping_the_contestants_turns_the_interval_around(found):
    place, turned = locate(found, 0.99), locate([-value for value in found], 0.99)
    assert (turned.low, turned.high) == pytest.approx((-place.high, -place.low))
    assert turned.estimate == pytest.approx(-place.estimate)


@given(values, st.randoms())
def test_the_order_of_sets_does_not_matter(found, draw):
    assert locate(draw.sample(found, len(found)), 0.99) == locate(found, 0.99)


def test_eight_sets_are_needed_for_99_percent():
    assert least_sets(0.99) == 8
    assert locate([0.0] * 7, 0.99) is None
    assert locate([1.0, 2, 3, 4, 5, 6, 7, 8], 0.99).low == 1.0


def test_the_intervals_of_textbook_tables():
    """n = 10: at most 0.5 % on either side leaves the fourth smallest pairwise mean."""
    found = [float(2**power) for power in range(10)]
    means = sorted((a + b) / 2 for index, a in enumerate(found) for b in found[index:])
    place = locate(found, 0.99)
    assert (place.low, place.high) == (means[3], means[-4])


def test_one_wild_set_of_fifteen_does_not_decide():
    calm = [0.05 + 0.001 * step for step in range(14)]
    assert locate([*calm, -3.0], 0.99).low > 0


@pytest.mark.parametrize("count", [8, 10, 15])
def test_alike_contestants_differ_in_at_most_one_percent_of_comparisons_whatever_the_noise(count):
    draw = random.Random(count)

    def noise():
        """Mostly small, sometimes a hundred times as large, as on a machine that others use."""
        return draw.gauss(0, 1) * (100 if draw.random() < 0.2 else 1)

    rounds = 4000
    places = [locate([noise() for _ in range(count)], 0.99) for _ in range(rounds)]
    alarms = sum(place.low > 0 or place.high < 0 for place in places)
    allowed = 0.01 * rounds + 3 * math.sqrt(0.01 * rounds)
    assert alarms <= allowed
    assert statistics.fmean(place.estimate for place in places) == pytest.approx(0, abs=2)
