"""The joint genome of a search: a point of a space, and a scheme for each group of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

import numpy as np

from hwloop.records import Arch, Candidate, QuantPolicy, Scheme
from hwloop.records.candidate import Value
from hwloop.search.coding import Coding
from hwloop.search.spaces.choices import Choice, Choices

SCHEME = "scheme of "  # what a scheme's choice is called, before its group's name


@dataclass(frozen=True)
class Genome:
    """Candidates of a space: its `choices`, and for each group of layers in `schemes` the schemes it may have.

    A group is a rule of a `QuantPolicy`: a layer, a block, or `*`. `needs` says which choices' values a group is there
    for; the others have none of its layers, and so no scheme for it. Two candidates are equal where their networks
    are: a policy says nothing of what is not there, nor of what stays fp32, unless a wider group's rule reaches it.
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

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns of an encoding."""
        return self.coding.features

    def encode(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """Return candidates as float64 [candidates, features], all within 0 and 1; different ones differ.

        Schemes are encoded as words are; see `Coding.encode`.
        """
        return self.coding.encode(self.codes(candidates))

    def codes(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """Return candidates as the codes [candidates, choices and schemes] of `coding`."""
        return self.coding.codes([self._genes(candidate) for candidate in candidates])

    def coded(self, codes: np.ndarray) -> Candidate:
        """Return the candidate of one row of codes."""
        return self._candidate(self.coding.arch(codes))

    @cached_property
    def coding(self) -> Coding:
        """How choices and schemes become numbers."""
        return Coding(self._joint)

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
        schemes = {
            name.removeprefix(SCHEME): Scheme(str(value))
            for name, value in genes.choices.items()
            if name.startswith(SCHEME)
        }
        rules = QuantPolicy({group: scheme for group, scheme in schemes.items() if scheme is not Scheme.FP32})
        kept = {group: scheme for group, scheme in schemes.items() if scheme is not rules.scheme(group)}
        return Candidate(self.space, Arch(arch), QuantPolicy({**rules.rules, **kept}))
