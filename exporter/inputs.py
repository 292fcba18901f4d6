"""Inputs that a model accepts: seeded, or from files."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.digests import digest_bytes, digest_json
from hwloop.errors import ModelError, UsageError
from hwloop.exporter.integer_ranges import integer_hints
from hwloop.exporter.model import Model
from hwloop.exporter.reference import run_reference
from hwloop.records import TensorSpec

if TYPE_CHECKING:
    import numpy as np

# What is tried for integer inputs without a hint, widest first; the model itself decides.
FALLBACK_RANGES = ((0, 100), (0, 2), (1, 2), (0, 1))


@dataclass(frozen=True)
class Inputs:
    """Arrays by input name, and what the reference computes from them."""

    arrays: Mapping[str, np.ndarray]
    reference: Mapping[str, np.ndarray]

    @cached_property
    def contents(self) -> dict[str, bytes]:
        """The values of each input in C order, little-endian."""
        return {name: array.tobytes() for name, array in self.arrays.items()}

    @cached_property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each input's values."""
        return {name: digest_bytes(data) for name, data in self.contents.items()}

    @property
    def digest(self) -> str:
        """The digest of all inputs."""
        return digest_json(self.digests)

    def write(self, folder: Path) -> dict[str, Path]:
        """Write each input's values into a file named by its digest; return the files by input name."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = {name: folder / digest for name, digest in self.digests.items()}
        for name, path in paths.items():
            if not path.is_file() or path.stat().st_size != len(self.contents[name]):
                path.write_bytes(self.contents[name])
        return paths


def make_inputs(model: Model, seed: int, given: Mapping[str, Path] | None = None) -> Inputs:
    """Make an input of the right type and shape for each of a model's inputs, and run the reference on them.

    Floats are drawn from N(0, 1). Integers come from the range that the graph shows (the rows of an embedding
    table, the constants it compares with); where it shows none, the widest range that the model runs with.

    Raises:
        UsageError: a given file does not fit its input.
        ModelError: the model runs with none of the inputs that were tried.
    """
    import onnx

    files = {name: path for name, path in (given or {}).items() if any(spec.name == name for spec in model.inputs)}
    arrays = {spec.name: _load_array(spec, files[spec.name]) for spec in model.inputs if spec.name in files}
    made = [spec for spec in model.inputs if spec.name not in files]
    integers = [spec for spec in made if spec.dtype.lstrip("u").startswith("int")]
    hints = integer_hints(onnx.load(model.path, load_external_data=False).graph) if integers else {}
    last: ModelError | None = None
    for fallback in FALLBACK_RANGES:
        for spec in made:
            arrays[spec.name] = _draw(spec, seed, hints.get(spec.name, fallback))
        ordered = {spec.name: arrays[spec.name] for spec in model.inputs}
        try:
            return Inputs(ordered, run_reference(model, ordered))
        except ModelError as error:
            last = error
        if all(spec.name in hints for spec in integers):
            break
    assert last is not None
    raise last


def _draw(spec: TensorSpec, seed: int, integers: tuple[int, int]) -> np.ndarray:
    import numpy as np

    random = np.random.default_rng([seed, zlib.crc32(spec.name.encode())])
    if spec.dtype == "bool":
        return random.integers(0, 2, spec.shape).astype(np.bool_)
    if spec.dtype.lstrip("u").startswith("int"):
        low, high = integers
        top = min(high, np.iinfo(spec.dtype).max + 1)
        return random.integers(low, max(top, low + 1), spec.shape).astype(spec.dtype)
    values = random.standard_normal(spec.shape, dtype=np.float32)
    if spec.dtype == "bfloat16":
        import ml_dtypes

        return values.astype(ml_dtypes.bfloat16)
    return values.astype(spec.dtype)


def _load_array(spec: TensorSpec, path: Path) -> np.ndarray:
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UsageError(f"--input {spec.name}={path}: there is no such file") from error
    except (ValueError, OSError, EOFError) as error:
        raise UsageError(f"--input {spec.name}={path}: this is no .npy file: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.name != spec.dtype or array.shape != spec.shape:
        found = f"{array.dtype}{list(array.shape)}" if isinstance(array, np.ndarray) else "an archive"
        raise UsageError(
            f"--input {spec.name}={path}: it holds {found}, and the model takes {spec.dtype}{list(spec.shape)}",
            remedy="Convert the array, or set the model's sizes with --shape.",
        )
    return np.ascontiguousarray(array)
