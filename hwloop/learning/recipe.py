"""Which features are made of networks: their kernels, the choices of their space, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from hwloop.errors import UsageError
from hwloop.learning.networks import Network
from hwloop.predictor.candidate_features import CandidateEncoding, joined
from hwloop.predictor.features import Features
from hwloop.predictor.graph_features import graph_features
from hwloop.records import Arch, Candidate


class FeatureKind(StrEnum):
    """What a predictor looks at."""

    KERNELS = "kernels"  # any ONNX graph
    ARCH = "arch"  # candidates of one space alone
    BOTH = "both"


@dataclass(frozen=True)
class Recipe:
    """How networks become features; `encoding` is of the choices, where they count."""

    kind: FeatureKind
    encoding: CandidateEncoding | None = None

    @classmethod
    def of(cls, kind: FeatureKind, networks: Sequence[Network]) -> Recipe:
        """Return the recipe that these networks need.

        Raises:
            UsageError: choices are to count, and these are not all candidates of one space.
        """
        return cls(kind) if kind is FeatureKind.KERNELS else cls(kind, CandidateEncoding.of(_candidates(networks)))

    def features(self, networks: Sequence[Network]) -> Features:
        """Return a row for each network.

        Raises:
            UsageError: choices are to count, and one of them is no candidate.
        """
        if self.encoding is None:
            return graph_features([network.kernels for network in networks])
        choices = self.encoding.encode(_candidates(networks))
        if self.kind is FeatureKind.ARCH:
            return choices
        return joined(graph_features([network.kernels for network in networks]), choices)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"kind": self.kind.value, "encoding": self.encoding.as_json() if self.encoding else None}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Recipe:
        """Return what `as_json` gave the JSON form of; raises KeyError, TypeError or ValueError for anything else."""
        encoding = found["encoding"]
        return cls(FeatureKind(found["kind"]), CandidateEncoding.from_json(encoding) if encoding else None)


def _candidates(networks: Sequence[Network]) -> list[Candidate]:
    """Return the candidates with the part as one more choice."""
    found = []
    for network in networks:
        if network.candidate is None:
            raise UsageError(
                f"{network.name} is no candidate of a space, so it has no choices to look at",
                remedy="Use a predictor that was fitted with --features kernels.",
            )
        candidate = network.candidate
        choices = {**candidate.arch.choices, "part": network.part} if network.part else candidate.arch.choices
        found.append(replace(candidate, arch=Arch(choices)))
    return found
