"""Choices: what is a point, how many there are, and moves between them."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.errors import UsageError
from hwloop.records import Arch
from hwloop.search.spaces.choices import Choice, Choices, Rule, one_of

DEEP = Choices(
    (
        Choice("size", (8, 9, 12)),
        Choice("patch", (4, 3)),
        Choice("depth", (1, 2, 3)),
        *(
            choice
            for block in range(3)
            for choice in (
                Choice(f"{block}.mixer", ("pool", "attention"), one_of("depth", range(block + 1, 4))),
                Choice(f"{block}.heads", (1, 2, 4), {f"{block}.mixer": ("attention",)}),
            )
        ),
    ),
    (Rule(("size", "patch"), lambda size, patch: size % patch == 0, "the patch must divide the size"),),
)


def all_points(choices):
    """Every point, by trying every combination of values."""
    points = set()
    for values in itertools.product(*(choice.values for choice in choices)):
        try:
            points.add(choices.arch(dict(zip([choice.name for choice in choices], values, strict=True))))
        except UsageError:
            continue
    return points


@st.composite
def small_choices(draw):
    """Up to five choices of up to three values, each needing some of those before it, and maybe a rule."""
    made = []
    for number in range(draw(st.integers(1, 5))):
        needs = {
            other.name: tuple(draw(st.sets(st.sampled_from(other.values), min_size=1)))
            for other in made
            if draw(st.integers(0, 3)) == 0
        }
        made.append(Choice(f"c{number}", tuple(range(draw(st.integers(1, 3)))), needs))
    rules = ()
    if len(made) > 1 and draw(st.booleans()):
        names = tuple(draw(st.lists(st.sampled_from([one.name for one in made]), min_size=2, max_size=2, unique=True)))
        rules = (Rule(names, lambda one, other: one <= other, "the first must not be larger"),)
    return Choices(tuple(made), rules)


@given(small_choices())
def test_every_point_comes_once(choices):
    found = list(choices.points())
    assert len(found) == len(set(found)) and set(found) == all_points(choices)


@given(small_choices())
def test_the_count_is_what_enumeration_finds(choices):
    assert choices.count() == len(all_points(choices))


def test_a_large_space_is_counted_without_enumeration():
    wide = Choices(
        (
            Choice("depth", tuple(range(1, 13))),
            *(Choice(f"{block}.heads", (1, 2, 4), one_of("depth", range(block + 1, 13))) for block in range(12)),
        )
    )
    assert wide.count() == sum(3**depth for depth in range(1, 13))


@given(st.integers())
def test_samples_mutants_and_children_are_points(seed):
    random = Random(seed)
    one, other = DEEP.sample(random), DEEP.sample(random)
    for arch in (one, other, DEEP.mutate(one, 0.3, random), DEEP.cross(one, other, random)):
        assert DEEP.arch(arch.choices) == arch
    assert DEEP.mutate(one, 0.0, random) != one


def test_a_mutant_differs_also_where_most_choices_are_settled():
    narrow = DEEP.restricted({"size": [12], "depth": [1], "0.mixer": ["pool"]})
    assert all(narrow.mutate(narrow.smallest, 0.0, Random(seed)) == narrow.largest for seed in range(20))
    single = narrow.restricted({"patch": [3]})
    assert single.mutate(single.smallest, 0.5, Random(0)) == single.smallest


def test_a_seed_gives_the_same_samples():
    assert [DEEP.sample(Random(7)) for _ in range(2)] == [DEEP.sample(Random(7))] * 2


def test_what_does_not_count_is_left_out_and_changes_no_digest():
    given_all = {"size": 8, "patch": 4, "depth": 1, "0.mixer": "pool", "0.heads": 4, "2.mixer": "attention"}
    arch = DEEP.arch(given_all)
    assert dict(arch.choices) == {"size": 8, "patch": 4, "depth": 1, "0.mixer": "pool"}
    assert arch.digest == DEEP.arch({key: given_all[key] for key in reversed(arch.choices)}).digest


def test_every_mistake_is_told_at_once():
    with pytest.raises(UsageError) as told:
        DEEP.arch({"size": 10, "patch": 4, "colour": "red", "depth": 1})
    assert "no choice 'colour'" in str(told.value)
    assert "size: 10 is not allowed; choose from 8, 9, 12" in str(told.value)
    assert "0.mixer is missing; choose from pool, attention" in str(told.value)
    assert "size, patch, depth" in told.value.remedy


def test_true_is_not_one():
    with pytest.raises(UsageError, match="True is not allowed"):
        DEEP.arch({**DEEP.smallest.choices, "depth": True})


def test_a_broken_rule_is_told_with_its_values():
    with pytest.raises(UsageError, match=r"patch must divide the size \(size is 9, patch is 4\)"):
        DEEP.arch({**DEEP.smallest.choices, "size": 9})


def test_the_ends_have_the_first_and_the_last_values():
    assert DEEP.smallest == Arch({"size": 8, "patch": 4, "depth": 1, "0.mixer": "pool"})
    assert DEEP.largest["2.heads"] == 4


def test_fewer_values_make_a_smaller_space():
    narrow = DEEP.restricted({"depth": [1], "size": [12, 8]})
    assert narrow["size"].values == (8, 12)
    assert narrow.count() == len(all_points(narrow)) < DEEP.count()
    with pytest.raises(UsageError, match="no choice 'dept'"):
        DEEP.restricted({"dept": [1]})
    with pytest.raises(UsageError, match="depth: 9 is not allowed"):
        DEEP.restricted({"depth": [9]})


def test_rules_that_nothing_keeps_end_with_the_rule():
    impossible = Choices(DEEP.choices, (Rule(("size",), lambda _size: False, "nothing will do"),))
    with pytest.raises(UsageError, match="nothing will do"):
        impossible.sample(Random(0))
    assert impossible.count() == 0
