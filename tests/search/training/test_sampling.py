"""Which subnets learn in a step, by each rule."""

from random import Random

import pytest

from hwloop.errors import UsageError
from hwloop.search.spaces.choices import Choice, Choices
from hwloop.search.training.sampling import GAP, Sampler

CHOICES = Choices((Choice("width", tuple(range(1, 65))), Choice("depth", (1, 2, 3))))


def macs(arch):
    return float(arch["width"] * arch["depth"])


def sampler(rule, subnets=3):
    return Sampler(rule, CHOICES, subnets, macs)


def test_in_the_sandwich_the_largest_teaches_the_smallest_and_random_ones():
    plan = sampler("sandwich").plan(Random(0), ())
    assert plan.teacher == CHOICES.largest
    assert plan.students[0] == CHOICES.smallest and len(plan.students) == 4


@pytest.mark.parametrize("rule", ["uniform", "complexity"])
def test_without_a_teacher_all_learn_from_the_labels(rule):
    plan = sampler(rule).plan(Random(0), ())
    assert plan.teacher is None and len(plan.students) == 3


@pytest.mark.parametrize("seed", range(20))
def test_by_complexity_each_is_near_its_predecessor(seed):
    random, one = Random(seed), sampler("complexity")
    previous = one.plan(random, ()).students
    for _ in range(20):
        students = one.plan(random, previous).students
        ratios = [macs(new) / macs(old) for new, old in zip(students, previous, strict=True)]
        assert all(1 / GAP - 1e-9 <= ratio <= GAP + 1e-9 for ratio in ratios)
        previous = students


def test_an_unknown_rule_is_refused_with_those_that_exist():
    with pytest.raises(UsageError, match="no sampling 'odd'"):
        sampler("odd")
