"""Candidates as files and as words: what is written can be read, and what is wrong is told with its place."""

import json
from random import Random

import pytest

from hwloop.errors import UsageError
from hwloop.records import Candidate, QuantPolicy, Scheme
from hwloop.search.candidate_files import as_json, as_yaml, parse_policy, parse_word, read_candidates
from hwloop.search.spaces.vit import VIT_MINI


@pytest.fixture
def candidates():
    policy = QuantPolicy({"*": Scheme.INT8_DYNAMIC, "blocks.0": Scheme.FP32})
    random = Random(0)
    return [Candidate("vit-mini", VIT_MINI.choices.sample(random), policy) for _ in range(2)]


@pytest.mark.parametrize(("write", "name"), [(as_yaml, "a.yaml"), (as_json, "a.json")])
def test_what_is_written_is_read(candidates, tmp_path, write, name):
    (tmp_path / name).write_text(write(candidates))
    assert read_candidates(tmp_path / name) == candidates


def test_a_file_may_hold_one_candidate_and_no_policy(tmp_path):
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"space": "vit-mini", "arch": dict(VIT_MINI.choices.smallest.choices)}))
    assert read_candidates(file) == [Candidate("vit-mini", VIT_MINI.choices.smallest)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "neither YAML nor JSON"),
        ("[]", "holds no candidate"),
        ("{space: vit-mini}", "has the fields space, arch"),
        ("{space: vit-mini, arch: {}, colour: red}", "has the fields space, arch"),
        ("{space: vit-mini, arch: [1]}", "are mappings"),
        ("{space: no-such-space, arch: {}}", "no space 'no-such-space'"),
        ("[{space: vit-mini, arch: {depth: 99}}]", "candidate 1: architecture: .*depth: 99 is not allowed"),
        ("{space: vit-mini, arch: ARCH, policy: {head: int3}}", "head: 'int3' is no scheme"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, text, told):
    file = tmp_path / "bad.yaml"
    file.write_text(text.replace("ARCH", json.dumps(dict(VIT_MINI.choices.smallest.choices))))
    with pytest.raises(UsageError, match=told) as error:
        read_candidates(file)
    assert str(file) in str(error.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"missing\.yaml: cannot be read"):
        read_candidates(tmp_path / "missing.yaml")


def test_words_name_ends_and_samples():
    assert parse_word("vit-mini@largest").arch == VIT_MINI.choices.largest
    assert parse_word("vit-mini@smallest").arch == VIT_MINI.choices.smallest
    assert parse_word("vit-mini@7") == parse_word("vit-mini@7") != parse_word("vit-mini@8")
    with pytest.raises(UsageError, match="'seven' is no sample"):
        parse_word("vit-mini@seven")


def test_a_policy_of_words_has_a_scheme_for_all_and_for_some():
    policy = parse_policy(["int8-static", "blocks.1=fp32"])
    assert policy.scheme("head") is Scheme.INT8_STATIC
    assert policy.scheme("blocks.1.up") is Scheme.FP32
    with pytest.raises(UsageError, match="'int3' is no scheme"):
        parse_policy(["int3"])
