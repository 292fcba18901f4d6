"""The joint genome: points, moves and encodings."""

from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwloop.records import Arch, Candidate, QuantPolicy, Scheme
from hwloop.search.genome import Genome
from hwloop.search.spaces.choices import Choice, Choices
from hwloop.testing.strategy import CHOICES, GENOME, SMALL

SEEDS = st.integers(0, 2**32)
INT8 = Scheme.INT8_STATIC


def check(candidate):
    """See that a candidate keeps the rules of `GENOME`."""
    depth = candidate.arch["depth"]
    assert CHOICES.arch(candidate.arch.choices) == candidate.arch
    for group, scheme in candidate.policy.rules.items():
        assert scheme in GENOME.schemes[group] and scheme is not Scheme.FP32
        assert group == "head" or int(group.rpartition(".")[2]) < depth


@given(SEEDS, st.floats(0, 1))
def test_samples_mutants_and_children_keep_the_rules(seed, rate):
    random = Random(seed)
    one, other = GENOME.sample(random), GENOME.sample(random)
    mutant = GENOME.mutate(one, rate, random)
    for candidate in (one, other, mutant, GENOME.cross(one, other, random)):
        check(candidate)
        assert GENOME.canonical(candidate) == candidate
    assert mutant != one


@given(SEEDS)
def test_a_child_has_nothing_that_its_parents_do_not_have(seed):
    random = Random(seed)
    one, other = GENOME.sample(random), GENOME.sample(random)
    child = GENOME.cross(one, other, random)
    for name, value in child.arch.choices.items():
        assert value in (one.arch.choices.get(name), other.arch.choices.get(name))
    assert GENOME.cross(one, one, random) == one


@given(SEEDS)
def test_a_seed_gives_the_same_moves(seed):
    def moved():
        random = Random(seed)
        one, other = GENOME.sample(random), GENOME.sample(random)
        return [one, other, GENOME.mutate(one, 0.3, random), GENOME.cross(one, other, random)]

    assert moved() == moved()


def test_mutation_at_no_rate_changes_one_gene():
    random = Random(0)
    start = GENOME.uniform(CHOICES.restricted({"depth": [1]}).largest, INT8)
    for _ in range(50):
        changed = GENOME.mutate(start, 0.0, random)
        before = {**start.arch.choices, **start.policy.rules}
        after = {**changed.arch.choices, **changed.policy.rules}
        differing = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        assert len(differing) == 1 or "depth" in differing


def test_a_genome_without_schemes_is_the_architecture_alone():
    genome = Genome("formula", CHOICES)
    assert genome.sample(Random(1)) == Candidate("formula", CHOICES.sample(Random(1)))
    assert genome.count() == CHOICES.count()


def test_every_point_comes_once():
    points = list(SMALL.points())
    assert len(set(points)) == len(points) == SMALL.count()
    assert GENOME.count() == sum(1 for _ in GENOME.points())


def test_a_point_that_cannot_change_is_returned():
    fixed = Genome("fixed", Choices((Choice("width", (8,)),)))
    only = fixed.sample(Random(0))
    assert fixed.mutate(only, 0.5, Random(0)) == only


def test_equal_networks_are_equal_candidates():
    shallow = CHOICES.restricted({"depth": [1]}).largest
    written = {"*": "int8-static", "blocks.2": "fp32"}
    wanted = Candidate("formula", shallow, QuantPolicy({"blocks.0": INT8, "head": INT8}))
    assert GENOME.canonical(Candidate("formula", shallow, QuantPolicy(written))) == wanted
    assert GENOME.uniform(shallow, INT8) == wanted
    assert GENOME.canonical(Candidate("formula", shallow, QuantPolicy({"head": "fp32"}))) == Candidate(
        "formula", shallow
    )


def test_a_block_inside_another_ones_name_keeps_its_own_scheme():
    schemes = dict.fromkeys(["decoder", "decoder.layers.0"], (Scheme.FP32, INT8))
    genome = Genome("nested", Choices((Choice("depth", (1,)),)), schemes)
    found = {(one.policy.scheme("decoder.output"), one.policy.scheme("decoder.layers.0.up")) for one in genome.points()}
    assert found == {(one, other) for one in (Scheme.FP32, INT8) for other in (Scheme.FP32, INT8)}
    assert all(genome.canonical(one) == one for one in genome.points())


def test_a_scheme_that_may_not_be_is_left_out():
    genome = replace(GENOME, schemes={"head": (Scheme.FP32, Scheme.INT4_WEIGHT)})
    assert genome.uniform(CHOICES.smallest, INT8) == Candidate("formula", CHOICES.smallest)


@given(SEEDS)
def test_encodings_differ_where_candidates_do(seed):
    random = Random(seed)
    found = list({GENOME.sample(random) for _ in range(40)})
    rows = GENOME.encode(found)
    assert rows.shape == (len(found), len(GENOME.features)) and rows.dtype == np.float64
    assert rows.min() >= 0 and rows.max() <= 1
    assert len(np.unique(rows, axis=0)) == len(found)


def test_every_point_of_a_small_genome_has_an_encoding_of_its_own():
    rows = GENOME.encode(list(GENOME.points()))
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_numbers_are_places_and_words_are_columns():
    arch = Arch({"width": 32, "depth": 1, "blocks.0.mixer": "pool", "blocks.0.ratio": 3.0})
    (row,) = GENOME.encode([Candidate("formula", arch, QuantPolicy({"head": "int4-weight"}))])
    columns = dict(zip(GENOME.features, row, strict=True))
    assert columns["width"] == 1 / 3 and columns["depth"] == 0 and columns["blocks.0.ratio"] == 1
    assert columns["blocks.0.mixer=pool"] == 1 and columns["blocks.0.mixer=attention"] == 0
    assert columns["no blocks.1.ratio"] == 1 and columns["no scheme of blocks.2"] == 1
    assert columns["scheme of head=int4-weight"] == 1 and columns["scheme of blocks.0=fp32"] == 1
