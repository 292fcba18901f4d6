"""The files beside a model that hold its large tensors."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hwloop.errors import ModelError
from hwloop.exporter.graph import bodies_of, tensors_of

if TYPE_CHECKING:
    import onnx


def external_files(path: Path, model: onnx.ModelProto) -> dict[str, Path]:
    """Return the external data files of the model at `path`, by the names in it.

    A file may stand in the folder of `path`, or in the folder that `path` links to, as in caches of downloads.

    Raises:
        ModelError: a file is missing or too short, or its name leads out of the model's folder.
    """
    import onnx

    found: dict[str, Path] = {}
    for body in bodies_of(model):
        for tensor in tensors_of(body):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                entries = {entry.key: entry.value for entry in tensor.external_data}
                name = entries.get("location", "")
                if name not in found:
                    found[name] = _find(path, tensor.name, name)
                _require_whole(path, tensor, entries, found[name])
    return found


def _find(path: Path, tensor: str, name: str) -> Path:
    place = Path(os.path.realpath(path.parent / name))
    homes = (Path(os.path.realpath(path.parent)), Path(os.path.realpath(path)).parent)
    strays = PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts
    if not name or strays or not any(place.is_relative_to(home) for home in homes):
        raise ModelError(
            f"{path}: the external data of {tensor!r} is {name!r}, outside the model's folder",
            remedy="Put the data beside the model and export it again.",
        )
    if not place.is_file():
        raise ModelError(
            f"{path}: the external data file {name!r} is missing",
            remedy=f"Put it into {path.parent}, where the model looks for it.",
        )
    return place


def _require_whole(path: Path, tensor: onnx.TensorProto, entries: dict[str, str], file: Path) -> None:
    try:
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or 0)
    except ValueError:
        offset = length = -1
    if offset < 0 or length < 0:
        raise ModelError(
            f"{path}: the external data of {tensor.name!r} has no usable offset or length",
            remedy="Export the model again.",
        )
    end = offset + max(length, _size_bytes(tensor))
    if file.stat().st_size < end:
        name = entries["location"]
        raise ModelError(
            f"{path}: the external data file {name!r} is truncated: {file.stat().st_size} bytes of {end}",
            remedy="Copy or download it again.",
        )


def _size_bytes(tensor: onnx.TensorProto) -> int:
    """Return the bytes that a tensor must have; 0 where its type packs several values into a byte."""
    from onnx import helper

    try:
        kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError:
        return 0
    packed = kind.name.removeprefix("u").startswith(("int4", "int2", "float4"))
    return 0 if packed else math.prod(tensor.dims) * int(kind.itemsize)
