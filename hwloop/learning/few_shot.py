"""Few-shot transfer: a predictor of a new device out of those of other devices and 5 to 20 measurements of its own."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from hwloop.errors import UsageError
from hwloop.learning.fitting import Fitting, card_of, cross_validated, refuse_too_few
from hwloop.learning.networks import Network, measured_networks
from hwloop.learning.pool import Pool
from hwloop.learning.recipe import Recipe
from hwloop.learning.rows import Rows
from hwloop.learning.saved import Predictor
from hwloop.learning.sources import label, told_by
from hwloop.predictor.candidate_features import joined
from hwloop.predictor.features import Features, Floats
from hwloop.predictor.transfer import KIND, Transfer

LEAST_ROWS = 5
SAME = 1e-9  # of logarithms


@dataclass(frozen=True)
class FewShot(Fitting):
    """Learns how a new device differs from `sources`; `candidates` are networks that it need not have run."""

    sources: tuple[Predictor, ...] = ()
    candidates: tuple[Network, ...] = ()

    least_rows: ClassVar[int] = LEAST_ROWS

    def fit(self, rows: Rows, *, validate: bool = True) -> Predictor:
        """Return a predictor that has its sources in it; see `Fitting`."""
        refuse_too_few(rows, self.least_rows)
        measured = measured_networks(rows.rows)
        networks = [*measured, *self.candidates]
        recipe = Recipe.of(self.kind, networks)
        features = self._features(recipe, networks)
        unfitted = self._learned(features)

        def learn(few: Features, values: Floats) -> Transfer:
            model = copy(unfitted)
            model.fit(few, values)
            return model

        own, values = features.take(np.arange(len(measured))), rows.values
        errors = cross_validated(own, values, rows.scope.unit, self.seed, learn, self.least_rows) if validate else None
        card = card_of(rows, self.seed, {KIND: 1.0}, errors)
        return Predictor(card, recipe, learn(own, values), self.sources)

    def over(self, pool: Pool) -> tuple[FewShot, Pool]:
        """Return this with the pool's networks to learn the sources from, and the pool described by what they say.

        A candidate's row is the mean of its parts'.
        """
        networks = [network for parts in pool.parts for network in parts]
        features = self._features(Recipe.of(self.kind, networks), networks)
        counts = np.array([len(parts) for parts in pool.parts])
        starts = np.cumsum(counts) - counts
        rows = np.add.reduceat(self._learned(features).informative(features), starts) / counts[:, None]
        return replace(self, candidates=tuple(networks)), replace(pool, features=rows)

    def _features(self, recipe: Recipe, networks: Sequence[Network]) -> Features:
        told = told_by(self.sources, networks).features
        for source, column in zip(self.sources, told.values.T, strict=True):
            if np.ptp(np.log(column)) < SAME:
                raise UsageError(
                    f"the predictor of {label(source)} says the same of all {len(networks)} networks",
                    remedy="Leave it out, or fit it to networks like these.",
                )
        return joined(recipe.features(networks), told)

    def _learned(self, features: Features) -> Transfer:
        model = Transfer(seed=self.seed)
        model.learn(features)
        return model


def fitting_like(predictor: Predictor) -> Fitting:
    """Return what fits predictors like this one."""
    kind = predictor.recipe.kind
    return FewShot(kind, sources=predictor.sources) if predictor.sources else Fitting(kind)


def load_sources(paths: Sequence[Path]) -> tuple[Predictor, ...]:
    """Return the predictors of other devices, each once; raises UsageError where a file is none."""
    return tuple(Predictor.load(path) for path in dict.fromkeys(paths))


def measured_otherwise(sources: Sequence[Predictor], threads: int, batch: int) -> list[str]:
    """Return in words which sources were measured with other threads or batch sizes than these."""
    wanted = {"threads": threads, "batch": batch}
    return [
        f"{label(source)} was measured with {name} {getattr(source.card.scope, name)}, not {value}"
        for source in sources
        for name, value in wanted.items()
        if getattr(source.card.scope, name) != value
    ]


def of_another_unit(sources: Sequence[Predictor], unit: str) -> list[str]:
    """Return in words which sources predict in another unit."""
    return [
        f"{label(source)} predicts {source.card.scope.unit}, not {unit}: only ratios are learned from"
        for source in sources
        if source.card.scope.unit != unit
    ]
