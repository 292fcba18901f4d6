"""Samples: different from each other, and, where asked for, from small to large."""

import math
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from hwloop.search.sampling import sample_by_complexity, sample_distinct
from hwloop.search.spaces.choices import Choice, Choices

WIDE = Choices(tuple(Choice(f"c{number}", (1, 2, 4, 8)) for number in range(8)))
TINY = Choices((Choice("only", (1, 2, 3)),))


def complexity(arch):
    return float(sum(arch.choices.values()))


@given(st.integers(0, 1000), st.integers(1, 40))
def test_samples_differ_and_are_as_many_as_asked(seed, count):
    found = sample_distinct(WIDE, count, Random(seed))
    assert len(found) == len(set(found)) == count


def test_a_small_space_gives_what_it_has():
    assert len(sample_distinct(TINY, 10, Random(0))) == 3


@given(st.integers(0, 1000))
def test_spread_samples_reach_from_small_to_large(seed):
    found = sample_by_complexity(WIDE, 10, complexity, Random(seed))
    assert len(found) == len(set(found)) == 10
    logs = [math.log(complexity(arch)) for arch in found]
    low, high = math.log(8), math.log(64)
    assert min(logs) < low + 0.3 * (high - low) and max(logs) > low + 0.7 * (high - low)


def test_uniform_choices_give_middling_networks():
    """Why spreading exists: the same number of uniform samples spans less."""

    def span(archs):
        return max(map(complexity, archs)) / min(map(complexity, archs))

    uniform = [span(sample_distinct(WIDE, 10, Random(seed))) for seed in range(20)]
    spread = [span(sample_by_complexity(WIDE, 10, complexity, Random(seed))) for seed in range(20)]
    assert sorted(uniform)[-3] < sorted(spread)[2]
