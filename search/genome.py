"""The joint genome of a search: a point of a space, and a scheme for each group of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

import numpy as np

from hwloop.records import Arch, Candidate, QuantPolicy, Scheme
from hwloop.records.candidate import Value
from hwloop.search.spaces.choices import Choice, Choices

SCHEME = "scheme of "  # what a scheme's choice is called, before its group's name


@dataclass(frozen=True)
class Genome:
    """Candidates of a space: its `choices`, and for each group of layers in `schemes` the schemes it may have.

    A group is a rule of a `QuantPolicy`: a layer, a block, or `*`. `needs` says which choices' values a group is there
    for; the others have none of its layers, and so no scheme for it. Two candidates are equal where their networks
    are: what is not there, and what stays fp32, does not stand in a policy.
    """

    space: str
    choices: Choices
    schemes: Mapping[str, tuple[Scheme, ...]] = field(default_factory=dict)
    needs: Mapping[str, Mapping[str, tuple[Value, ...]]] = field(default_factory=dict)

    # ── points and moves ──

    def sample(self, random: Random) -> Candidate:
        """Return a candidate with each choice and each scheme drawn uniformly.

        Raises:
            UsageError: no point that keeps the space's rules was found.
        """
        return self._candidate(self._joint.sample(random))

    def mutate(self, candidate: Candidate, rate: float, random: Random) -> Candidate:
        """Return a candidate in which each gene was drawn anew with probability `rate`, and at least one was."""
        return self._candidate(self._joint.mutate(self._genes(candidate), rate, random))

    def cross(self, one: Candidate, other: Candidate, random: Random) -> Candidate:
        """Return a candidate that takes each gene from one of two parents."""
        return self._candidate(self._joint.cross(self._genes(one), self._genes(other), random))

    def uniform(self, arch: Arch, scheme: Scheme) -> Candidate:
        """Return an architecture with one scheme wherever that is allowed, and fp32 elsewhere."""
        allowed = {group: scheme for group, schemes in self.schemes.items() if scheme in schemes}
        return self.canonical(Candidate(self.space, arch, QuantPolicy(allowed)))

    def canonical(self, candidate: Candidate) -> Candidate:
        """Return the one among equal networks' candidates; a scheme that may not be becomes its group's first one."""
        return self._candidate(self._genes(candidate))

    def points(self) -> Iterator[Candidate]:
        """Yield every candidate once."""
        return (self._candidate(genes) for genes in self._joint.points())

    def count(self) -> int:
        """Return how many candidates there are."""
        return self._joint.count()

    # ── for models ──

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The names of the columns of an encoding."""
        return tuple(name for choice in self._joint for name in _columns(choice))

    def encode(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """Return candidates as float64 [candidates, features], all within 0 and 1; different ones differ.

        A choice of numbers is its value's place among the choice's values; one of words or schemes is a column for
        each; a choice that may be missing has a column that says so.
        """
        rows = np.zeros((len(candidates), len(self.features)))
        for row, candidate in zip(rows, candidates, strict=True):
            genes = self._genes(candidate).choices
            for name, (start, codes) in self._codes.items():
                code = codes[genes.get(name)]
                row[start : start + len(code)] = code
        return rows

    @cached_property
    def _codes(self) -> dict[str, tuple[int, dict[Value | None, tuple[float, ...]]]]:
        """The first column of each choice, and what stands in its columns for each value; None is absence."""
        found: dict[str, tuple[int, dict[Value | None, tuple[float, ...]]]] = {}
        start = 0
        for choice in self._joint:
            columns = _columns(choice)
            optional = bool(choice.needs)
            codes: dict[Value | None, tuple[float, ...]] = {
                None: (0.0,) * (len(columns) - optional) + (1.0,) * optional
            }
            for place, value in enumerate(choice.values):
                if _is_numeric(choice):
                    code: tuple[float, ...] = (place / max(len(choice.values) - 1, 1),)
                else:
                    code = tuple(float(place == column) for column in range(len(choice.values)))
                codes[value] = code + (0.0,) * optional
            found[choice.name] = start, codes
            start += len(columns)
        return found

    # ── between candidates and genes ──

    @cached_property
    def _joint(self) -> Choices:
        """The choices of the space, and behind them one for each group of layers."""
        schemes = [
            Choice(SCHEME + group, tuple(str(scheme) for scheme in schemes), self.needs.get(group, {}))
            for group, schemes in self.schemes.items()
        ]
        return Choices((*self.choices, *schemes), self.choices.rules)

    def _genes(self, candidate: Candidate) -> Arch:
        """Return the values of all choices; a scheme that a group may not have is its first one."""
        genes: dict[str, Value] = dict(candidate.arch.choices)
        for group, schemes in self.schemes.items():
            if all(genes.get(name) in values for name, values in self.needs.get(group, {}).items()):
                scheme = candidate.policy.scheme(group)
                genes[SCHEME + group] = str(scheme if scheme in schemes else schemes[0])
        return Arch(genes)

    def _candidate(self, genes: Arch) -> Candidate:
        arch = {name: value for name, value in genes.choices.items() if not name.startswith(SCHEME)}
        policy = {
            name.removeprefix(SCHEME): Scheme(str(value))
            for name, value in genes.choices.items()
            if name.startswith(SCHEME) and value != Scheme.FP32
        }
        return Candidate(self.space, Arch(arch), QuantPolicy(policy))


def _columns(choice: Choice) -> list[str]:
    words = [choice.name] if _is_numeric(choice) else [f"{choice.name}={value}" for value in choice.values]
    return [*words, *([f"no {choice.name}"] if choice.needs else [])]


def _is_numeric(choice: Choice) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in choice.values)
