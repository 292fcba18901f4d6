"""Candidates as YAML or JSON files, and as words on a command line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import yaml

from hwloop.errors import UsageError
from hwloop.records import Candidate, QuantPolicy
from hwloop.search.spaces.registry import load_space

SUFFIXES = (".yaml", ".yml", ".json")
FIELDS = {"space", "arch", "policy"}
ENDS = ("smallest", "largest")


def read_candidates(path: Path) -> list[Candidate]:
    """Return the candidates of a YAML or JSON file, which holds one or a list; each was checked by its space.

    Raises:
        UsageError: the file cannot be read, or an entry is no point of its space; it says which entry.
    """
    try:
        found = yaml.safe_load(path.read_text())  # JSON is YAML, too
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}", remedy="Check the path.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: this is neither YAML nor JSON: {error}") from error
    entries = found if isinstance(found, list) else [found]
    if not entries:
        raise UsageError(f"{path}: it holds no candidate")
    candidates = []
    for number, entry in enumerate(entries, 1):
        place = f"{path}: candidate {number}" if isinstance(found, list) else str(path)
        try:
            candidates.append(parse_candidate(entry))
        except UsageError as error:
            raise UsageError(f"{place}: {error}", remedy=error.remedy) from error
    return candidates


def parse_candidate(entry: object) -> Candidate:
    """Return the candidate that `space`, `arch` and `policy` describe.

    Raises:
        UsageError: a field is missing, unknown or of the wrong form, or the space has no such point.
    """
    if not isinstance(entry, Mapping) or not FIELDS.issuperset(entry) or not {"space", "arch"} <= set(entry):
        raise UsageError("a candidate has the fields space, arch and, if it likes, policy")
    arch, policy = entry["arch"], entry.get("policy") or {}
    if not isinstance(arch, Mapping) or not isinstance(policy, Mapping):
        raise UsageError("arch and policy are mappings of names to values")
    space = load_space(str(entry["space"]))
    chosen = space.choices.arch({str(name): value for name, value in arch.items()})
    return Candidate(str(entry["space"]), chosen, QuantPolicy({str(name): value for name, value in policy.items()}))


def parse_word(word: str) -> Candidate:
    """Return the candidate that `SPACE@SEED`, `SPACE@smallest` or `SPACE@largest` names, in fp32.

    Raises:
        UsageError: there is no such space, or what stands behind the @ is neither.
    """
    name, _, which = word.rpartition("@")
    choices = load_space(name).choices
    if which in ENDS:
        return Candidate(name, choices.smallest if which == "smallest" else choices.largest)
    if not which.isdecimal():
        raise UsageError(f"{word}: {which!r} is no sample", remedy="Use SPACE@SEED, SPACE@smallest or SPACE@largest.")
    return Candidate(name, choices.sample(Random(int(which))))


def parse_policy(words: Iterable[str]) -> QuantPolicy:
    """Return the policy that `SCHEME` or `LAYER=SCHEME` words give; a word without a layer is for all of them.

    Raises:
        UsageError: there is no such scheme.
    """
    rules: dict[str, Any] = {}
    for word in words:
        layer, _, scheme = word.rpartition("=")
        rules[layer or "*"] = scheme
    return QuantPolicy(rules)


def as_yaml(candidates: Iterable[Candidate]) -> str:
    """Return candidates in the form that `read_candidates` takes."""
    return yaml.safe_dump([candidate.as_json() for candidate in candidates], sort_keys=False)


def as_json(candidates: Iterable[Candidate]) -> str:
    """Return candidates in the form that `read_candidates` takes, as JSON."""
    return json.dumps([candidate.as_json() for candidate in candidates], indent=2)
