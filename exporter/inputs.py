"""Inputs that a model accepts: seeded, or from files."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.digests import digest_bytes, digest_json
from hwloop.errors import ModelError, UsageError
from hwloop.exporter.integer_ranges import MASK_WORD, integer_hints
from hwloop.exporter.model import Model
from hwloop.exporter.numpy_types import numpy_type
from hwloop.exporter.reference import OperatorMissing, Reference
from hwloop.exporter.rounding import surest
from hwloop.records import TensorSpec

if TYPE_CHECKING:
    import numpy as np

Ranges = Mapping[str, tuple[int, int]]

# What is tried for integer inputs without a hint, widest first; the model itself decides.
FALLBACK_RANGES = ((0, 100), (0, 2), (1, 2), (0, 1))


@dataclass(frozen=True)
class Inputs:
    """Arrays by input name, and what the reference computes from them (nothing, where it cannot)."""

    arrays: Mapping[str, np.ndarray]
    reference: Mapping[str, np.ndarray]

    @cached_property
    def contents(self) -> dict[str, bytes]:
        """The values of each input in C order, little-endian."""
        return {name: _stored(array) for name, array in self.arrays.items()}

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
        return {name: _write(folder, content) for name, content in self.contents.items()}

    @cached_property
    def right_outputs(self) -> dict[TensorSpec, bytes]:
        """The values of each output of the reference in C order, little-endian."""
        return {
            TensorSpec(name, array.dtype.name, array.shape): _stored(array) for name, array in self.reference.items()
        }

    def write_reference(self, folder: Path) -> dict[TensorSpec, Path]:
        """Write each right output's values into a file named by its digest; return the files by output."""
        return {spec: _write(folder, content) for spec, content in self.right_outputs.items()}


def load_inputs(inputs: Mapping[TensorSpec, Path], right_outputs: Mapping[TensorSpec, Path]) -> Inputs:
    """Return inputs and right outputs from files of their values, in C order, little-endian.

    Raises:
        OSError, ValueError: a file is not there, or does not hold what it should.
    """
    return Inputs(
        {spec.name: _loaded(spec, path) for spec, path in inputs.items()},
        {spec.name: _loaded(spec, path) for spec, path in right_outputs.items()},
    )


def make_inputs(model: Model, seed: int, given: Mapping[str, Path] | None = None) -> Inputs:
    """Make an input of the right type and shape for each of a model's inputs, and run the reference on them.

    Floats are drawn from N(0, 1). Integers come from the range that the graph shows (the rows of an embedding
    table, the constants it compares with); where it shows none, the widest range that the model runs with. For a
    quantized model, numbers are drawn on which rounding decides nothing, if a few draws find such. The reference
    stays empty where ONNX Runtime on this host lacks an operator of the model.

    Raises:
        UsageError: a given file does not fit its input.
        ModelError: the model runs with none of the inputs that were tried.
    """
    files = given or {}
    fixed = {spec.name: _load_array(spec, files[spec.name]) for spec in model.inputs if spec.name in files}
    tried = _ranges(model, fixed)

    def arrays(number: int, ranges: Ranges) -> dict[str, np.ndarray]:
        seeds = [seed, number] if number else [seed]
        drawn = {spec.name: _draw(spec, seeds, ranges) for spec in model.inputs if spec.name not in fixed}
        return {spec.name: {**fixed, **drawn}[spec.name] for spec in model.inputs}

    try:
        reference = Reference(model)
    except OperatorMissing:
        return Inputs(arrays(0, tried[0]), {})

    def draw(number: int) -> Inputs:
        return _accepted(reference, (arrays(number, ranges) for ranges in tried))

    return draw(0) if len(fixed) == len(model.inputs) else surest(model, draw)


def _accepted(reference: Reference, attempts: Iterable[Mapping[str, np.ndarray]]) -> Inputs:
    """Return the first attempt that the model runs with."""
    problems = []
    for arrays in attempts:
        try:
            return Inputs(arrays, reference.run(arrays))
        except ModelError as error:
            problems.append(error)
    raise problems[0]


def _ranges(model: Model, fixed: Collection[str]) -> list[Ranges]:
    """Return the ranges to try: what the graph shows with every fallback, then the fallbacks alone."""
    integers = [spec for spec in model.inputs if _is_integer(spec) and spec.name not in fixed]
    tried: list[Ranges] = []
    for hints in (_hints(model) if integers else {}, {}):
        for fallback in FALLBACK_RANGES:
            ranges = {spec.name: hints.get(spec.name, fallback) for spec in integers}
            if ranges not in tried:
                tried.append(ranges)
    return tried


def _hints(model: Model) -> Ranges:
    import onnx

    return integer_hints(onnx.load(model.path, format="protobuf", load_external_data=False).graph)


def _is_integer(spec: TensorSpec) -> bool:
    return spec.dtype.lstrip("u").startswith("int")


def _draw(spec: TensorSpec, seeds: Sequence[int], ranges: Ranges) -> np.ndarray:
    import numpy as np

    random = np.random.default_rng([*seeds, zlib.crc32(spec.name.encode())])
    if spec.dtype == "bool":
        return random.integers(int(MASK_WORD in spec.name.lower()), 2, spec.shape).astype(np.bool_)
    if _is_integer(spec):
        low, high = ranges[spec.name]
        top = min(high, np.iinfo(spec.dtype).max + 1)
        return random.integers(low, max(top, low + 1), spec.shape).astype(spec.dtype)
    values = random.standard_normal(spec.shape, dtype=np.float32)
    return np.asarray(values).astype(numpy_type(spec.dtype))


def _stored(array: np.ndarray) -> bytes:
    """Return values in C order, little-endian."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _loaded(spec: TensorSpec, path: Path) -> np.ndarray:
    import numpy as np

    return np.frombuffer(path.read_bytes(), numpy_type(spec.dtype)).reshape(spec.shape)


def _write(folder: Path, content: bytes) -> Path:
    """Write values into a file named by their digest, at once or not at all, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / digest_bytes(content)
    if not path.is_file():
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(content)
        Path(file.name).replace(path)
    return path


def _load_array(spec: TensorSpec, path: Path) -> np.ndarray:
    import numpy as np

    place = f"--input {spec.name}={path}"
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UsageError(f"{place}: there is no such file", remedy="Check the path.") from error
    except (ValueError, OSError, EOFError) as error:
        raise UsageError(
            f"{place}: this is no .npy file: {error}", remedy="Write it with numpy.save, without objects."
        ) from error
    if isinstance(array, np.ndarray):
        if spec.dtype == "bfloat16" and array.dtype == np.dtype("V2"):  # what numpy.save makes of bfloat16
            array = array.view(numpy_type(spec.dtype))
        array = np.asarray(array, order="C")
        if array.dtype.newbyteorder("=").name == spec.dtype and array.shape == spec.shape:
            return array.astype(array.dtype.newbyteorder("="), copy=False)
    found = f"{array.dtype}{list(array.shape)}" if isinstance(array, np.ndarray) else "an archive"
    raise UsageError(
        f"{place}: it holds {found}, and the model takes {spec.dtype}{list(spec.shape)}",
        remedy="Convert the array, or set the model's sizes with --shape.",
    )
