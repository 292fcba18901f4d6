"""What a model costs, told from its graph alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from hwloop.exporter.graph import bodies_of, tensors_of
from hwloop.exporter.kernels import cut
from hwloop.exporter.kernels.tensors import Tensor, type_name
from hwloop.records import Costs

if TYPE_CHECKING:
    import onnx


def costs_of(model: onnx.ModelProto, sizes: Mapping[str, int], file_bytes: int | None = None) -> Costs:
    """Return what a model costs; `sizes` are as for `kernels_of`, and there is no graph that this fails for.

    `file_bytes` are those of its file and external data, if known; else the model is written once to count them.
    """
    tensors = [tensor for body in bodies_of(model) for tensor in tensors_of(body)]
    found = cut(model, sizes)
    return Costs(
        parameters=found.parameters,
        weight_bytes=sum(Tensor(type_name(tensor.data_type), tuple(tensor.dims)).bytes for tensor in tensors),
        file_bytes=_file_bytes(model, tensors) if file_bytes is None else file_bytes,
        peak_activation_bytes=found.peak_activation_bytes,
        kernels=found.kernels,
    )


def _file_bytes(model: onnx.ModelProto, tensors: Iterable[onnx.TensorProto]) -> int:
    return int(model.ByteSize()) + sum(_outside_bytes(tensor) for tensor in tensors)


def _outside_bytes(tensor: onnx.TensorProto) -> int:
    """Return the bytes of a tensor that stand in a file beside the model."""
    import onnx

    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return 0
    stated = {entry.key: entry.value for entry in tensor.external_data}
    return int(stated.get("length") or Tensor(type_name(tensor.data_type), tuple(tensor.dims)).bytes)
