"""What predictors of other devices say of networks: columns for a predictor of a new device to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import UsageError
from hwloop.learning.networks import Network
from hwloop.predictor.base import Prediction
from hwloop.predictor.features import Features, Floats
from hwloop.predictor.transfer import SOURCE

if TYPE_CHECKING:
    from hwloop.learning.saved import Predictor

INSTRUCTIONS_OF_A_MS = 1e6  # of any device: learned from are logarithms, whose offset is the new device's own


@dataclass(frozen=True, eq=False)
class Told:
    """Sources' predictions, a column each, and which rows any of them calls novel.

    `reach` is the distance of logarithms from mean to end of the widest interval that a source gives a novel row, and
    0 for other rows.
    """

    features: Features
    novel: NDArray[np.bool_]
    reach: Floats
    warnings: tuple[str, ...]

    def widened(self, found: Prediction) -> Prediction:
        """Return a prediction that is as unsure of novel rows as the sources that it rests on."""
        low = np.minimum(found.low_ms, found.mean_ms * np.exp(-self.reach))
        high = np.maximum(found.high_ms, found.mean_ms * np.exp(self.reach))
        warnings = (*found.warnings, *self.warnings)
        return replace(found, low_ms=low, high_ms=high, novel=found.novel | self.novel, warnings=warnings)


def told_by(sources: Sequence[Predictor], networks: Sequence[Network]) -> Told:
    """Return what each source says of each network.

    Raises:
        UsageError: a source looks at the choices of a space, and a network is no candidate of it.
    """
    columns, values, warnings = [], [], []
    novel, reach = np.zeros(len(networks), bool), np.zeros(len(networks))
    for number, source in enumerate(sources, 1):
        _refuse_strange(source, networks)
        found = source.predict(networks)
        name = label(source)
        mean, high = _finite(found.mean_ms), _finite(found.high_ms)
        columns.append(f"{SOURCE}{name}, source {number}")
        values.append(mean if source.card.scope.unit == "ms" else mean / INSTRUCTIONS_OF_A_MS)
        novel |= found.novel
        reach = np.maximum(reach, np.where(found.novel, np.log(high) - np.log(mean), 0.0))
        warnings += [f"{name}: {warning}" for warning in found.warnings]
    return Told(Features.of(columns, np.column_stack(values)), novel, reach, tuple(warnings))


def label(source: Predictor) -> str:
    """Return how a source is called."""
    return f"{source.card.scope.device} with {source.card.scope.runtime}"


def _finite(latencies: Floats) -> Floats:
    """Return latencies whose logarithms are numbers: far outside what was measured they may be infinite, or nothing."""
    limits = np.finfo(float)
    return np.clip(latencies, limits.tiny, limits.max)


def _refuse_strange(source: Predictor, networks: Sequence[Network]) -> None:
    if source.recipe.encoding is None:
        return
    for network in networks:
        if network.candidate is None or network.candidate.space != source.card.space:
            raise UsageError(
                f"the predictor of {label(source)} needs choices of {source.card.space}, and {network.name} has none",
                remedy="Fit that one with --features kernels, which serve any graph.",
            )
