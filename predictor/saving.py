"""Models on disk: one NPZ file of plain arrays, with the schema's version and the kind of model. Never pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import UsageError
from hwloop.predictor.base import State

SCHEMA = 1
REMEDY = "Fit the model again with this version of hwloop."


def write(path: Path, kind: str, state: State) -> None:
    """Write a model's arrays; the file is replaced whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, schema=np.array(SCHEMA), kind=np.array(kind), **dict(state))
    part.replace(path)


def read(path: Path, kind: str) -> dict[str, NDArray[np.generic]]:
    """Return a model's arrays.

    Raises:
        UsageError: there is no such file, it is no model, of another kind, or of a schema that is not known.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as loaded:
            state = dict(loaded.items())
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file", remedy="Fit a model first.") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: not a saved predictor: {error}", remedy=REMEDY) from error
    schema = state.pop("schema", None)
    if schema is None or schema.shape != () or schema.dtype.kind not in "iu" or int(schema) != SCHEMA:
        raise UsageError(f"{path}: schema {schema} is unknown; this hwloop reads schema {SCHEMA}", remedy=REMEDY)
    found = str(state.pop("kind", "nothing"))
    if found != kind:
        raise UsageError(f"{path}: holds a model of kind {found}, not {kind}", remedy="Name another file.")
    return state


def part_of(state: Mapping[str, NDArray[np.generic]], prefix: str) -> dict[str, NDArray[np.generic]]:
    """Return the arrays whose names begin with `prefix/`, by the rest of their names."""
    return {name.removeprefix(f"{prefix}/"): value for name, value in state.items() if name.startswith(f"{prefix}/")}
