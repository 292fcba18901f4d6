"""Candidates of several parts: what all of them take together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwloop.learning.networks import Network
from hwloop.learning.saved import Predictor
from hwloop.predictor.base import Prediction
from hwloop.records import Candidate


@dataclass(frozen=True)
class Figure:
    """A prediction of one network, or of a candidate's parts together, in the predictor's unit.

    `repeats` is how often it counts in its candidate; `parts` are the names of what it was summed from.
    """

    name: str
    mean: float
    low: float
    high: float
    novel: bool
    candidate: Candidate | None = None
    part: str = ""
    repeats: int = 1
    parts: tuple[str, ...] = ()


def predicted(predictor: Predictor, networks: Sequence[Network]) -> tuple[list[Figure], tuple[str, ...]]:
    """Return a figure for each network, each candidate's sum after its parts; and the warnings."""
    found = predictor.predict(networks)
    single = [_figure(network, found, row) for row, network in enumerate(networks)]
    figures: list[Figure] = []
    for row, figure in enumerate(single):
        figures.append(figure)
        parts = [one for one in single if one.part and one.candidate == figure.candidate]
        if figure.part and figure is parts[-1]:
            figures.append(_sum(parts, networks[row]))
    return figures, found.warnings


def _figure(network: Network, found: Prediction, row: int) -> Figure:
    mean, low, high = (float(each[row]) for each in (found.mean_ms, found.low_ms, found.high_ms))
    novel = bool(found.novel[row])
    return Figure(network.name, mean, low, high, novel, network.candidate, network.part, network.repeats)


def _sum(parts: Sequence[Figure], network: Network) -> Figure:
    """Add parts up, each as often as it runs; ends of intervals add up too, as if all erred the same way."""
    mean, low, high = (sum(getattr(one, end) * one.repeats for one in parts) for end in ("mean", "low", "high"))
    name = network.name.removesuffix(f".{network.part}")
    novel = any(one.novel for one in parts)
    return Figure(name, mean, low, high, novel, network.candidate, parts=tuple(one.name for one in parts))
