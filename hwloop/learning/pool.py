"""Candidates to choose from, and which of them teach most."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from hwloop.errors import UsageError
from hwloop.learning.networks import CandidateNetworks, Network
from hwloop.learning.rows import Rows
from hwloop.learning.saved import Predictor
from hwloop.predictor.choosing import most_informative
from hwloop.predictor.features import Floats
from hwloop.predictor.graph_features import graph_features
from hwloop.predictor.standard import Standard
from hwloop.records import Candidate

UNSURE = 0.5  # the share of the pool, with the widest intervals, that is chosen from
NOISE = 0.1  # variance of a measurement, where that of what all columns say together is 1


@dataclass(frozen=True)
class Wanted:
    """Which candidates are drawn: `count` of a space, with quantization drawn for each block if `policies`.

    Schemes are those that the runtime can run. `sizes` are some of batch, length, resolution and steps. Equal values
    draw equal candidates.
    """

    space: str
    count: int
    seed: int = 0
    policies: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)
    runtime: str = "onnxruntime"


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates with their parts, and features of them (candidates, columns).

    These are in deviations of a measurement, given that a priori each column's coefficient has the variance 1.
    """

    candidates: tuple[Candidate, ...]
    parts: tuple[tuple[Network, ...], ...]
    features: Floats

    @classmethod
    def of(cls, parts: Sequence[tuple[Network, ...]]) -> Pool:
        """Return the pool of candidates that are given by their parts.

        Raises:
            UsageError: there is none, or a network is no candidate.
        """
        candidates = [networks[0].candidate for networks in parts]
        if not candidates or None in candidates:
            raise UsageError("there are no candidates to choose from", remedy="Give a larger pool.")
        features = graph_features(
            [[kernel for network in networks for kernel in network.kernels] for networks in parts]
        )
        table = features.with_totals(features.kernels.kinds if features.kernels else ())
        values = np.log1p(table.values)  # sizes spread over decades, and the small matter as much as the large
        scale = np.sqrt(NOISE * values.shape[1])
        return cls(tuple(one for one in candidates if one), tuple(parts), Standard.of(values)(values) / scale)

    def measured(self, rows: Rows | None) -> set[int]:
        """Return which candidates are measured: those whose every part has kernels that a row has, in their order."""
        known = {row.facts.costs.kernels for row in rows.rows} if rows else set()
        return {place for place, parts in enumerate(self.parts) if all(network.kernels in known for network in parts)}

    def choose(self, known: Collection[int], count: int, predictor: Predictor | None) -> list[int]:
        """Return up to `count` candidates to measure next, none of the `known`; the most informative first.

        They are those that take most off the variance of a linear model of the whole pool, out of that half which
        the predictor, where there is one yet, gives the widest intervals.
        """
        open_places = np.array([place for place in range(len(self.parts)) if place not in known], np.intp)
        count = min(count, len(open_places))
        if not count:
            return []
        if predictor is not None:
            width = self._relative_width(open_places, predictor)
            keep = max(count, round(UNSURE * len(open_places)))
            open_places = open_places[np.sort(np.argsort(-width, kind="stable")[:keep])]
        variances = np.ones(self.features.shape[1])
        seen = self.features[sorted(known)] if known else None
        chosen = most_informative(self.features[open_places], variances, count, noise=1.0, measured=seen)
        return [int(place) for place in open_places[chosen]]

    def _relative_width(self, places: Sequence[int] | np.ndarray, predictor: Predictor) -> Floats:
        """Return the width of each candidate's interval relative to its latency, that of its least sure part."""
        widths = []
        found = predictor.predict([network for place in places for network in self.parts[place]])
        relative = (found.high_ms - found.low_ms) / found.mean_ms
        start = 0
        for place in places:
            end = start + len(self.parts[place])
            widths.append(relative[start:end].max())
            start = end
        return np.array(widths, float)


def draw_pool(wanted: Wanted, described: Callable[[int], None] = lambda _count: None) -> Pool:
    """Draw candidates and describe them by graphs without weights; `described` hears how many are done.

    Raises:
        UsageError: there is no such space, or it does not take such sizes.
        ModelError: a candidate has no ONNX form.
    """
    networks = CandidateNetworks(wanted.space, wanted.sizes, wanted.seed)
    parts = []
    for number, candidate in enumerate(draw_candidates(wanted), 1):
        parts.append(networks.of(candidate))
        described(number)
    return Pool.of(parts)


def draw_candidates(wanted: Wanted) -> list[Candidate]:
    """Draw different candidates, each choice uniformly; as many as there are, if that is fewer than wanted.

    Raises:
        UsageError: there is no such space, or it does not take such sizes.
    """
    from hwloop.search.genome import Genome
    from hwloop.search.quantizable import genome_of
    from hwloop.search.sampling import sample_distinct
    from hwloop.search.spaces.registry import load_space

    space = load_space(wanted.space)
    genome = Genome(space.name, space.choices)
    if wanted.policies:
        genome = genome_of(space, [wanted.runtime], sizes=wanted.sizes)
    return sample_distinct(genome, wanted.count, Random(wanted.seed))
