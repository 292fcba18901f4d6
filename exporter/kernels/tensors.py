"""What is known of a value in a graph without computing it: its type, its shape, and whether it is constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import onnx

Shape = tuple[int | None, ...]

MOST_NUMBERS = 64  # no shape is longer

BITS = {
    "float": 32,
    "double": 64,
    "float16": 16,
    "bfloat16": 16,
    "bool": 8,
    "string": 64,
    "complex64": 64,
    "complex128": 128,
    "float4e2m1": 4,
}
FLOATS = frozenset(["float", "double", "float16", "bfloat16"])
# The names that kernels' schemes have.
SHORT = {"float": "fp32", "double": "fp64", "float16": "fp16", "bfloat16": "bf16"}


@dataclass(frozen=True)
class Tensor:
    """The type of a value (ONNX's name, in small letters) and its shape; None where a size depends on data.

    `numel` is how many numbers it has, where a size that is not known counts as one, and `bytes` what they fill, packed
    where a number has less than eight bits.
    """

    dtype: str
    shape: Shape | None
    numel: int = field(init=False, compare=False)
    bytes: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        numel = math.prod(1 if size is None else size for size in self.shape or ())
        object.__setattr__(self, "numel", numel)
        object.__setattr__(self, "bytes", -(-numel * bits_of(self.dtype) // 8))

    def size(self, axis: int) -> int:
        """Return the size of an axis; 1 where it is not known or not there."""
        shape = self.shape or ()
        return (shape[axis] or 1) if -len(shape) <= axis < len(shape) else 1


@dataclass(frozen=True, eq=False)
class Constant:
    """A value that no input changes, and how it is stored.

    `dtype` and `bytes` are as it is stored; those of a quantized one with its scales and zero points. `source` has its
    numbers, if anything has.
    """

    dtype: str
    bytes: int
    quantized: bool = False
    source: onnx.TensorProto | np.ndarray | None = None

    @cached_property
    def value(self) -> np.ndarray | None:
        """Its numbers, if they are few and stand in the model itself."""
        from onnx import TensorProto

        return small_value(self.source) if isinstance(self.source, TensorProto) else self.source

    def equals(self, other: Constant) -> bool:
        """Whether both are known to be the same numbers."""
        import numpy as np

        return self.value is not None and other.value is not None and np.array_equal(self.value, other.value)


def small_value(proto: onnx.TensorProto) -> np.ndarray | None:
    """Return the numbers of a tensor, if they are few and stand in the model itself."""
    from onnx import TensorProto, numpy_helper

    outside = proto.data_location == TensorProto.EXTERNAL
    if outside or math.prod(proto.dims) > MOST_NUMBERS or proto.data_type in (TensorProto.STRING, 0):
        return None
    try:
        return numpy_helper.to_array(proto)
    except (ValueError, TypeError):
        return None  # its numbers do not fill its shape


@cache
def bits_of(dtype: str) -> int:
    """Return the bits of one number of a type."""
    if dtype in BITS:
        return BITS[dtype]
    digits = "".join(letter for letter in dtype.removeprefix("float") if letter.isdigit())
    return int(digits) if digits and not dtype.startswith("float") else 8  # the others are float8's kinds


@cache
def type_name(elem_type: int) -> str:
    """Return ONNX's name of an element type, in small letters."""
    from onnx import TensorProto

    known = elem_type in TensorProto.DataType.values()
    return str(TensorProto.DataType.Name(elem_type)).lower() if known else "undefined"


@cache
def type_number(dtype: str) -> int:
    """Return ONNX's number of an element type."""
    from onnx import TensorProto

    return int(TensorProto.DataType.Value(dtype.upper()))


def tensor_of(kind: onnx.TypeProto, sizes: Sequence[tuple[str, int]] = ()) -> Tensor:
    """Return what a type says, its symbolic dimensions bound to `sizes`; sequences and the like are unknown."""
    if kind.WhichOneof("value") != "tensor_type":
        return UNKNOWN
    tensor = kind.tensor_type
    if not tensor.HasField("shape"):
        return Tensor(type_name(tensor.elem_type), None)
    bound = dict(sizes)
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else bound.get(dim.dim_param) for dim in tensor.shape.dim)
    return Tensor(type_name(tensor.elem_type), shape)


UNKNOWN = Tensor("undefined", None)
