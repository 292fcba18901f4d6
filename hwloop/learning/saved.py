"""A predictor with its card, as one JSON file: what it was learned from, its features, and the model's arrays.

One that was learned from predictors of other devices has these in its file, whole.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.errors import UsageError
from hwloop.learning.networks import Network
from hwloop.learning.recipe import Recipe
from hwloop.learning.rows import Scope
from hwloop.learning.sources import told_by
from hwloop.predictor.base import LatencyModel, Prediction
from hwloop.predictor.candidate_features import joined
from hwloop.predictor.ensemble import Ensemble
from hwloop.predictor.transfer import Transfer
from hwloop.scratch import scratch_folder

SCHEMA = 2  # 1 had `macs` of kernels in place of `vector_macs`
REMEDY = "Fit it again: hwloop predictor fit."


@dataclass(frozen=True)
class Card:
    """What a predictor predicts, and what it was learned from.

    `space` is the one that all rows are of, if any. `newest` is when the last row was measured, `learned` the digests
    of all models. `errors` are cross-validated figures, None where the rows are too few for that.
    """

    scope: Scope
    space: str | None
    rows: int
    seed: int
    newest: str
    learned: frozenset[str]
    estimators: Mapping[str, float]
    errors: Mapping[str, float] | None
    hwloop: str

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**asdict(self), "unit": self.scope.unit, "learned": sorted(self.learned)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Card:
        """Return what `as_json` gave the JSON form of; raises KeyError or TypeError for anything else."""
        fields = {name: found[name] for name in cls.__dataclass_fields__}
        return cls(**{**fields, "scope": Scope(**found["scope"]), "learned": frozenset(found["learned"])})


@dataclass(frozen=True, eq=False)
class Predictor:
    """A model of one device and runtime, with the recipe of its features.

    `sources` are predictors of other devices, where their predictions are features, too.
    """

    card: Card
    recipe: Recipe
    model: LatencyModel
    sources: tuple[Predictor, ...] = ()

    def predict(self, networks: Sequence[Network]) -> Prediction:
        """Return what each network will take, in the card's unit; raises UsageError for what it cannot look at."""
        features = self.recipe.features(networks)
        with np.errstate(over="ignore"):  # an interval may reach to infinity where nothing alike was measured
            if not self.sources:
                return self.model.predict(features)
            told = told_by(self.sources, networks)
            return told.widened(self.model.predict(joined(features, told.features)))

    def refuse_other(self, device: str | None, runtime: str | None) -> None:
        """Raise UsageError unless it is of this device and runtime; None is any."""
        scope = self.card.scope
        for what, wanted, mine in (("device", device, scope.device), ("runtime", runtime, scope.runtime)):
            if wanted not in (None, mine):
                raise UsageError(
                    f"this predictor is of {what} {mine}, not of {wanted}",
                    remedy=f"Fit one: hwloop predictor fit -d {device or scope.device} -r {runtime or scope.runtime}.",
                )

    def save(self, path: Path) -> None:
        """Write the file; it is replaced whole or not at all."""
        part = path.with_name(f"{path.name}.part")
        part.write_text(json.dumps(self.as_json(), indent=1, allow_nan=True))
        part.replace(path)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        with scratch_folder("predictor") as folder:
            self.model.save(folder / "model.npz")
            arrays = base64.b64encode((folder / "model.npz").read_bytes()).decode()
        return {
            "schema": SCHEMA,
            "card": self.card.as_json(),
            "features": self.recipe.as_json(),
            "model_npz_base64": arrays,
            "sources": [source.as_json() for source in self.sources],
        }

    @classmethod
    def load(cls, path: Path) -> Predictor:
        """Return a saved predictor.

        Raises:
            UsageError: there is no such file, or it is no predictor, or of an unknown schema.
        """
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise UsageError(f"{path}: no such file", remedy="hwloop predictor fit writes one.") from error
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: not a saved predictor: {error}", remedy=REMEDY) from error
        return cls.from_json(found, str(path))

    @classmethod
    def from_json(cls, found: Any, where: str) -> Predictor:
        """Return what `as_json` gave the JSON form of; raises UsageError, naming `where`, for anything else."""
        schema = found.get("schema") if isinstance(found, dict) else None
        if schema != SCHEMA:
            raise UsageError(f"{where}: schema {schema} is unknown; this hwloop reads schema {SCHEMA}", remedy=REMEDY)
        try:
            card, recipe = Card.from_json(found["card"]), Recipe.from_json(found["features"])
            arrays = base64.b64decode(found["model_npz_base64"], validate=True)
            inner = list(found.get("sources", ()))
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise UsageError(f"{where}: not a saved predictor: {error!r}", remedy=REMEDY) from error
        sources = tuple(cls.from_json(each, f"{where}, source {number}") for number, each in enumerate(inner, 1))
        with scratch_folder("predictor") as folder:
            (folder / "model.npz").write_bytes(arrays)
            model: LatencyModel = (Transfer if sources else Ensemble).load(folder / "model.npz")
            return cls(card, recipe, model, sources)
