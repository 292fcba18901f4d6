"""Reading ONNX files: everything that can be wrong with one is said here, before any device is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.digests import digest_file, digest_json
from hwloop.errors import ModelError
from hwloop.exporter.dimensions import bind
from hwloop.exporter.external_data import external_files
from hwloop.records import TensorSpec

if TYPE_CHECKING:
    import onnx

TYPES = frozenset(
    [
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
    ]
)
STANDARD_DOMAINS = ("", "ai.onnx")
AGAIN = "Export or download it again."


@dataclass(frozen=True)
class Model:
    """An ONNX file with the sizes of its symbolic dimensions.

    `file_digest` is the SHA-256 of the file, `external` maps the names of external data in the model to files and
    `external_digests` to their SHA-256; `digest` covers them all. `dims` are the sizes that were given to named
    symbolic dimensions; `used_shapes` the keys of `--shape` that this model has.
    """

    path: Path
    file_digest: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    dims: Mapping[str, int]
    used_shapes: frozenset[str]
    opset: int
    external: Mapping[str, Path]
    external_digests: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """The digest of the model's content, whatever its name and place."""
        return digest_json([self.file_digest, dict(self.external_digests)])

    @property
    def size_bytes(self) -> int:
        """Bytes of the file and its external data."""
        return sum(path.stat().st_size for path in (self.path, *self.external.values()))

    def require_unchanged(self) -> None:
        """Make sure that the files are still those that were read.

        Raises:
            ModelError: one of them changed, or is gone.
        """
        digests = {self.path: self.file_digest}
        digests |= {path: self.external_digests[name] for name, path in self.external.items()}
        for path, digest in digests.items():
            if not path.is_file() or digest_file(path) != digest:
                raise ModelError(
                    f"{path} changed after it was read",
                    remedy="Run the command again once the file stays as it is; what was measured is kept.",
                )


def load_model(path: Path, shapes: Mapping[str, int] | None = None) -> Model:
    """Read the head of an ONNX file, check it, and bind its symbolic dimensions; large tensors stay in their files.

    `shapes` maps the name of a symbolic dimension, or `INPUT:AXIS` for one without a name, to its size.

    Raises:
        ModelError: the file is no usable ONNX model, or a symbolic dimension was left open.
    """
    proto = _parse(path)
    opset = _require_versions(path, proto)
    external = external_files(path, proto)
    constants = {tensor.name for tensor in proto.graph.initializer}
    constants |= {tensor.values.name for tensor in proto.graph.sparse_initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    for value in inputs:
        _require_tensor(path, value)
    bound = bind(path, inputs, shapes or {})
    return Model(
        path=path,
        file_digest=digest_file(path),
        inputs=tuple(_input_spec(value, bound.axes) for value in inputs),
        outputs=tuple(_output_spec(path, value, bound.dims) for value in proto.graph.output),
        dims=bound.dims,
        used_shapes=frozenset(bound.used),
        opset=opset,
        external=external,
        external_digests={name: digest_file(file) for name, file in external.items()},
    )


def dtype_name(elem_type: int) -> str:
    """Return numpy's name of an ONNX element type; of one that numpy lacks, ONNX's own in small letters."""
    import onnx

    if elem_type == onnx.TensorProto.STRING:
        return "string"
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(elem_type).name)
    except KeyError:
        return "untyped"


def _parse(path: Path) -> onnx.ModelProto:
    if path.is_dir():
        raise ModelError(f"{path}: this is a folder", remedy="Name an .onnx file in it.")
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file", remedy="Check the path.")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        if path.stat().st_size == 0:
            raise ModelError(f"{path}: the file is empty", remedy=AGAIN)
        proto = onnx.load(path, format="protobuf", load_external_data=False)
    except DecodeError as error:
        raise ModelError(f"{path}: this is no ONNX file, or a truncated one", remedy=AGAIN) from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}", remedy="Check its permissions.") from error
    if not proto.graph.node or not proto.ir_version:
        raise ModelError(f"{path}: this is no ONNX model: it has no nodes", remedy=AGAIN)
    if not proto.graph.output:
        raise ModelError(f"{path}: the model has no outputs", remedy=AGAIN)
    return proto


def _require_versions(path: Path, proto: onnx.ModelProto) -> int:
    """Return the opset of the standard operators; refuse what this host's onnx does not know yet."""
    import onnx

    if proto.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"{path}: its IR version is {proto.ir_version}, and the newest one known here is {onnx.IR_VERSION}",
            remedy="Export it with an older onnx, or upgrade hwloop's onnx.",
        )
    newest = onnx.defs.onnx_opset_version()
    versions = [entry.version for entry in proto.opset_import if entry.domain in STANDARD_DOMAINS]
    if not versions:
        raise ModelError(f"{path}: the model does not say which opset it uses; it may be truncated", remedy=AGAIN)
    if not 1 <= max(versions) <= newest:
        raise ModelError(
            f"{path}: its opset is {max(versions)}; supported are 1 to {newest}",
            remedy="Export it with a supported opset, or convert it with onnx.version_converter.",
        )
    return int(max(versions))


def _require_tensor(path: Path, value: onnx.ValueInfoProto) -> None:
    place = f"{path}: input {value.name!r}"
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise ModelError(
            f"{place} is no tensor ({(kind or 'untyped').removesuffix('_type')})",
            remedy="Cut the model where its inputs are tensors, and measure the rest.",
        )
    dtype = dtype_name(value.type.tensor_type.elem_type)
    if dtype == "string":
        raise ModelError(
            f"{place} takes text, which cannot be made up",
            remedy="Cut the text processing off the model and measure the rest.",
        )
    if dtype not in TYPES:
        raise ModelError(f"{place} has the type {dtype}", remedy=f"Use one of {', '.join(sorted(TYPES))}.")
    if not value.type.tensor_type.HasField("shape"):
        raise ModelError(f"{place} has no shape", remedy="Export the model with the shapes of its inputs.")


def _input_spec(value: onnx.ValueInfoProto, axes: Mapping[tuple[str, int], int]) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = tuple(axes[value.name, axis] for axis in range(len(tensor.shape.dim)))
    return TensorSpec(value.name, dtype_name(tensor.elem_type), shape)


def _output_spec(path: Path, value: onnx.ValueInfoProto, dims: Mapping[str, int]) -> TensorSpec:
    place = f"{path}: output {value.name!r}"
    kind = value.type.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        raise ModelError(
            f"{place} is no tensor ({kind.removesuffix('_type')})",
            remedy="Make the model return tensors (for scikit-learn: `zipmap=False`).",
        )
    tensor = value.type.tensor_type
    dtype = dtype_name(tensor.elem_type) if tensor.elem_type else "float32"
    if dtype not in TYPES:
        raise ModelError(f"{place} has the type {dtype}", remedy="Make the model return numbers.")
    shape = tuple(dim.dim_value if dim.dim_value > 0 else dims.get(dim.dim_param, -1) for dim in tensor.shape.dim)
    return TensorSpec(value.name, dtype, shape)
