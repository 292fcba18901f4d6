"""A predictor with its card, as one JSON file: what it was learned from, its features, and the model's arrays."""

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
from hwloop.predictor.base import Prediction
from hwloop.predictor.ensemble import Ensemble
from hwloop.scratch import scratch_folder

SCHEMA = 1
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
    """A model of one device and runtime, with the recipe of its features."""

    card: Card
    recipe: Recipe
    model: Ensemble

    def predict(self, networks: Sequence[Network]) -> Prediction:
        """Return what each network will take, in the card's unit; raises UsageError for what it cannot look at."""
        features = self.recipe.features(networks)
        with np.errstate(over="ignore"):  # an interval may reach to infinity where nothing alike was measured
            return self.model.predict(features)

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
        with scratch_folder("predictor") as folder:
            self.model.save(folder / "model.npz")
            arrays = base64.b64encode((folder / "model.npz").read_bytes()).decode()
        document = {
            "schema": SCHEMA,
            "card": self.card.as_json(),
            "features": self.recipe.as_json(),
            "model_npz_base64": arrays,
        }
        part = path.with_name(f"{path.name}.part")
        part.write_text(json.dumps(document, indent=1, allow_nan=True))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Predictor:
        """Return a saved predictor.

        Raises:
            UsageError: there is no such file, or it is no predictor, or of an unknown schema.
        """
        found = _document(path)
        try:
            card, recipe = Card.from_json(found["card"]), Recipe.from_json(found["features"])
            arrays = base64.b64decode(found["model_npz_base64"], validate=True)
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise UsageError(f"{path}: not a saved predictor: {error!r}", remedy=REMEDY) from error
        with scratch_folder("predictor") as folder:
            (folder / "model.npz").write_bytes(arrays)
            return cls(card, recipe, Ensemble.load(folder / "model.npz"))


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file", remedy="hwloop predictor fit writes one.") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a saved predictor: {error}", remedy=REMEDY) from error
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise UsageError(f"{path}: schema {schema} is unknown; this hwloop reads schema {SCHEMA}", remedy=REMEDY)
    return dict(found)
