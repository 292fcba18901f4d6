"""Points as rows of numbers: what is moved as numbers keeps the rules that points keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.search.coding import ABSENT, Coding
from hwloop.search.spaces.choices import Choice, Choices, Rule
from hwloop.testing.strategy import CHOICES

RULED = Choices(
    (Choice("size", (8, 9, 12)), Choice("patch", (4, 3)), Choice("wide", (False, True), {"patch": (3,)})),
    (Rule(("size", "patch"), lambda size, patch: size % patch == 0, "the patch must divide the size"),),
)
SPACES = pytest.mark.parametrize("choices", [CHOICES, RULED], ids=["needs", "rules"])
SEEDS = st.integers(0, 2**32)


@SPACES
def test_codes_and_points_are_the_same(choices):
    points = list(choices.points())
    coding = Coding(choices)
    codes = coding.codes(points)
    assert len(np.unique(codes, axis=0)) == len(points)
    assert [coding.arch(row) for row in codes] == points


@SPACES
@given(seed=SEEDS, crossing=st.floats(0, 1), rate=st.floats(0, 1))
def test_samples_and_children_are_points(choices, seed, crossing, rate):
    coding, random = Coding(choices), np.random.default_rng(seed)
    ones, others = (coding.sample(20, random) for _ in range(2))
    count = min(len(ones), len(others))
    children = coding.children(ones[:count], others[:count], crossing, rate, random)
    assert len(children) <= count
    for row in (*ones, *children):
        arch = coding.arch(row)
        assert choices.arch(arch.choices) == arch


@given(seed=SEEDS)
def test_a_child_of_one_parent_at_no_rate_differs_in_one_choice_and_what_it_brings(seed):
    coding, random = Coding(CHOICES), np.random.default_rng(seed)
    parents = coding.sample(20, random)
    for parent, child in zip(parents, coding.children(parents, parents, 0.5, 0.0, random), strict=True):
        there = (parent != ABSENT) & (child != ABSENT)
        assert (parent[there] != child[there]).sum() == 1


def test_a_point_that_cannot_change_stays():
    coding, random = Coding(CHOICES.restricted({"width": [16], "depth": [1]})), np.random.default_rng(0)
    fixed = Coding(Choices((Choice("width", (8,)),)))
    assert fixed.children(np.zeros((3, 1), int), np.zeros((3, 1), int), 0.5, 1.0, random).tolist() == [[0], [0], [0]]
    parents = coding.sample(10, random)
    children = coding.children(parents, parents, 0.0, 0.0, random)
    assert (children[:, 0] == 0).all() and (parents != children).any(axis=1).all()


def test_samples_reach_every_value():
    codes = Coding(CHOICES).sample(300, np.random.default_rng(0))
    for column, choice in enumerate(CHOICES):
        wanted = {*range(len(choice.values)), *([ABSENT] if choice.name.startswith(("blocks.1", "blocks.2")) else [])}
        assert set(codes[:, column].tolist()) == wanted


def test_rules_drop_only_what_breaks_them():
    codes = Coding(RULED).sample(400, np.random.default_rng(0))
    found = {Coding(RULED).arch(row) for row in codes}
    assert found == set(RULED.points())
