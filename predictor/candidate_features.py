"""What a candidate's choices say about its latency: an encoding of one space's own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.errors import UsageError
from hwloop.predictor.features import Features
from hwloop.records import Candidate

Value = int | float | str | bool


@dataclass(frozen=True)
class CandidateEncoding:
    """Columns for the choices of some candidates, and for the rules of their quantization.

    A number is a column. A word or a truth value is a column for each value that was seen, 1 where it was chosen. A
    choice that some candidates lack (a layer that others do not have) is 0 for them, and they have 1 in a column of
    its own. `words` are the values of each choice of words, in order; `numbers` and `optional` names of choices.
    """

    numbers: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]
    optional: tuple[str, ...]

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> CandidateEncoding:
        """Return the encoding that these candidates need, those of one space.

        Raises:
            UsageError: they are of several spaces, or a choice is a number in some and a word in others.
        """
        spaces = sorted({candidate.space for candidate in candidates})
        if len(spaces) > 1:
            raise UsageError(
                f"candidates of {len(spaces)} spaces ({', '.join(spaces)}) have no encoding in common",
                remedy="Learn from their graphs (graph_features), or from one space alone.",
            )
        made = [_choices(candidate) for candidate in candidates]
        seen: dict[str, set[Value]] = {}
        for choices in made:
            for name, value in choices.items():
                seen.setdefault(name, set()).add(value)
        wordy = {name for name, values in seen.items() if any(_is_word(value) for value in values)}
        for name in sorted(wordy):
            if not all(_is_word(value) for value in seen[name]):
                raise UsageError(f"choice {name!r} is a number and a word", remedy="Give its values one type.")
        return cls(
            numbers=tuple(sorted(seen.keys() - wordy)),
            words={name: tuple(sorted(str(value) for value in seen[name])) for name in sorted(wordy)},
            optional=tuple(sorted(name for name in seen if any(name not in choices for choices in made))),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        words = (f"{name}={value}" for name, values in self.words.items() for value in values)
        return (*self.numbers, *words, *(f"no {name}" for name in self.optional))

    def encode(self, candidates: Sequence[Candidate]) -> Features:
        """Return a row for each candidate; a word that was not seen is none of those that were."""
        rows = [self._row(_choices(candidate)) for candidate in candidates]
        return Features(self.columns, np.array(rows, float).reshape(len(rows), len(self.columns)))

    def _row(self, choices: Mapping[str, Value]) -> list[float]:
        numbers = [float(choices.get(name, 0)) for name in self.numbers]
        words = [float(str(choices.get(name)) == value) for name, values in self.words.items() for value in values]
        return [*numbers, *words, *(float(name not in choices) for name in self.optional)]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        words = {name: list(values) for name, values in self.words.items()}
        return {"numbers": list(self.numbers), "words": words, "optional": list(self.optional)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> CandidateEncoding:
        """Return what `as_json` gave the JSON form of."""
        words = {name: tuple(values) for name, values in found["words"].items()}
        return cls(tuple(found["numbers"]), words, tuple(found["optional"]))


def joined(graph: Features, candidates: Features) -> Features:
    """Return features of the same models side by side, with the kernels of the first.

    Raises:
        UsageError: they are not of as many models, or two columns have the same name.
    """
    if len(graph) != len(candidates):
        raise UsageError(f"{len(graph)} rows cannot stand beside {len(candidates)}", remedy="Give both for each model.")
    columns = (*graph.columns, *candidates.columns)
    return Features(columns, np.column_stack([graph.values, candidates.values]), graph.kernels)


def _choices(candidate: Candidate) -> dict[str, Value]:
    rules = {f"policy {rule}": scheme.value for rule, scheme in candidate.policy.rules.items()}
    return {**candidate.arch.choices, **rules}


def _is_word(value: Value) -> bool:
    return isinstance(value, str | bool)
