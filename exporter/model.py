"""Reading ONNX files: everything that can be wrong with one is said here, before any device is touched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.digests import digest_file, digest_json
from hwloop.errors import ModelError
from hwloop.records import TensorSpec

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Model:
    """An ONNX file with the sizes of its symbolic dimensions.

    `digest` covers the file and its external data (`external`: name in the model → file). `dims` are the sizes
    that were given to named symbolic dimensions; `used_shapes` the keys of `--shape` that this model has.
    """

    path: Path
    digest: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    dims: Mapping[str, int]
    used_shapes: frozenset[str]
    opset: int
    external: Mapping[str, Path]

    @property
    def size_bytes(self) -> int:
        """Bytes of the file and its external data."""
        return sum(path.stat().st_size for path in (self.path, *self.external.values()))


def load_model(path: Path, shapes: Mapping[str, int] | None = None) -> Model:
    """Read the head of an ONNX file, check it, and bind its symbolic dimensions.

    `shapes` maps the name of a symbolic dimension, or `INPUT:AXIS` for one without a name, to its size.

    Raises:
        ModelError: the file is no usable ONNX model, or a symbolic dimension was left open.
    """
    proto = _parse(path)
    external = _external_files(path, proto)
    _check_versions(path, proto)
    constants = {tensor.name for tensor in proto.graph.initializer}
    constants |= {tensor.values.name for tensor in proto.graph.sparse_initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    bound = _bind(path, inputs, shapes or {})
    return Model(
        path=path,
        digest=digest_json([digest_file(path), {name: digest_file(file) for name, file in sorted(external.items())}]),
        inputs=tuple(_input_spec(path, value, bound.sizes) for value in inputs),
        outputs=tuple(_output_spec(path, value, bound.named) for value in proto.graph.output),
        dims=bound.named,
        used_shapes=frozenset(bound.used),
        opset=max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=0),
        external=external,
    )


def read_proto(model: Model) -> onnx.ModelProto:
    """Return the model's protobuf with its external data loaded and its open dimensions set to their sizes."""
    import onnx

    proto = onnx.load(model.path)
    sizes = {spec.name: spec.shape for spec in model.inputs}
    for value in proto.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, sizes.get(value.name, ()), strict=False):
            dim.dim_value = size
    return proto


def tensors_of(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield every constant tensor of a graph and of the graphs inside it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in subgraphs_of(attribute):
                yield from tensors_of(inner)


def subgraphs_of(attribute: onnx.AttributeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs that an attribute holds."""
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield every node of a graph and of the graphs inside it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in subgraphs_of(attribute):
                yield from nodes_of(inner)


def _parse(path: Path) -> onnx.ModelProto:
    if path.is_dir():
        raise ModelError(f"{path}: this is a folder", remedy="Name an .onnx file in it.")
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file", remedy="Check the path.")
    import onnx
    from google.protobuf.message import DecodeError

    if path.stat().st_size == 0:
        raise ModelError(f"{path}: the file is empty", remedy="Export or download it again.")
    try:
        proto = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise ModelError(
            f"{path}: this is no ONNX file, or a truncated one", remedy="Export or download it again."
        ) from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    if not proto.graph.node or not proto.ir_version:
        raise ModelError(f"{path}: this is no ONNX model: it has no nodes", remedy="Export or download it again.")
    if not proto.graph.output:
        raise ModelError(f"{path}: the model has no outputs", remedy="Export or download it again.")
    return proto


def _check_versions(path: Path, proto: onnx.ModelProto) -> None:
    import onnx

    if proto.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"{path}: its IR version is {proto.ir_version}, and the newest one known here is {onnx.IR_VERSION}",
            remedy="Export it with an older onnx, or upgrade hwloop's onnx.",
        )
    newest = onnx.defs.onnx_opset_version()
    for entry in proto.opset_import:
        if entry.domain in ("", "ai.onnx") and not 1 <= entry.version <= newest:
            raise ModelError(
                f"{path}: its opset is {entry.version}; supported are 1 to {newest}",
                remedy="Export it with a supported opset, or convert it with onnx.version_converter.",
            )
    if not any(entry.domain in ("", "ai.onnx") for entry in proto.opset_import):
        raise ModelError(f"{path}: the model does not say which opset it uses", remedy="Export it again.")


def _external_files(path: Path, proto: onnx.ModelProto) -> dict[str, Path]:
    """Return the external data files by the names in the model; refuse those outside the model's folder."""
    import onnx

    folder = path.resolve().parent
    found: dict[str, Path] = {}
    for tensor in tensors_of(proto.graph):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        name = entries.get("location", "")
        file = Path(os.path.realpath(folder / name))
        if not name or Path(name).is_absolute() or not file.is_relative_to(folder):
            raise ModelError(
                f"{path}: the external data of {tensor.name!r} is {name!r}, outside the model's folder",
                remedy="Put the data beside the model and export it again.",
            )
        if not file.is_file():
            raise ModelError(
                f"{path}: the external data file {name!r} is missing",
                remedy=f"Put it into {folder}, where the model looks for it.",
            )
        end = int(entries.get("offset", 0)) + int(entries.get("length", 0))
        if file.stat().st_size < end:
            raise ModelError(
                f"{path}: the external data file {name!r} is truncated: {file.stat().st_size} bytes of {end}",
                remedy="Copy or download it again.",
            )
        found[name] = file
    return found


@dataclass
class _Bound:
    """Sizes of (input, axis), of named dimensions, and the keys that were used."""

    sizes: dict[tuple[str, int], int]
    named: dict[str, int]
    used: set[str]


def _bind(path: Path, inputs: list[onnx.ValueInfoProto], shapes: Mapping[str, int]) -> _Bound:
    bound = _Bound({}, {}, set())
    open_dims: dict[str, str] = {}
    for value in inputs:
        _require_tensor(path, value)
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            place = f"{value.name}:{axis}"
            name = dim.dim_param or place
            if dim.HasField("dim_value") and dim.dim_value > 0:
                bound.sizes[value.name, axis] = dim.dim_value
                continue
            key = place if place in shapes else name
            if key not in shapes:
                open_dims.setdefault(name, place)
                continue
            bound.used.add(key)
            bound.sizes[value.name, axis] = shapes[key]
            if dim.dim_param:
                bound.named[dim.dim_param] = shapes[key]
    if open_dims:
        listed = "; ".join(f"{name!r} (input {place.replace(':', ', axis ')})" for name, place in open_dims.items())
        flags = " ".join(f"--shape {name}=8" for name in open_dims)
        raise ModelError(f"{path}: sizes are open: {listed}", remedy=f"Give each a size, for example: {flags}")
    return bound


def _require_tensor(path: Path, value: onnx.ValueInfoProto) -> None:
    import onnx

    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise ModelError(f"{path}: input {value.name!r} is no tensor ({(kind or 'untyped').removesuffix('_type')})")
    if value.type.tensor_type.elem_type == onnx.TensorProto.STRING:
        raise ModelError(f"{path}: input {value.name!r} takes text, which cannot be made up", remedy=_CUT)
    if not value.type.tensor_type.HasField("shape"):
        raise ModelError(f"{path}: input {value.name!r} has no shape", remedy="Export the model with shapes.")


_CUT = "Cut the text processing off the model and measure the rest."


def dtype_name(elem_type: int) -> str:
    """Return numpy's name of an ONNX element type (`bfloat16` for the one that numpy lacks)."""
    import onnx

    if elem_type == onnx.TensorProto.BFLOAT16:
        return "bfloat16"
    return str(onnx.helper.tensor_dtype_to_np_dtype(elem_type).name)


def _input_spec(path: Path, value: onnx.ValueInfoProto, sizes: Mapping[tuple[str, int], int]) -> TensorSpec:
    axes = range(len(value.type.tensor_type.shape.dim))
    shape = tuple(sizes[value.name, axis] for axis in axes)
    return TensorSpec(value.name, dtype_name(value.type.tensor_type.elem_type), shape)


def _output_spec(path: Path, value: onnx.ValueInfoProto, named: Mapping[str, int]) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        raise ModelError(f"{path}: output {value.name!r} is no tensor ({kind.removesuffix('_type')})", remedy=_CUT_END)
    tensor = value.type.tensor_type
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else named.get(dim.dim_param, -1)
        for dim in tensor.shape.dim
    )
    return TensorSpec(value.name, dtype_name(tensor.elem_type) if tensor.elem_type else "float32", shape)


_CUT_END = "Make the model return tensors (for scikit-learn: `zipmap=False`)."
