"""The outputs' types and shapes of one node, by onnx's own rules; equal nodes are asked for once.

The layers of a network, and the candidates of a space, repeat the same few nodes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from hwloop.exporter.kernels.tensors import UNKNOWN, Tensor, tensor_of, type_number

if TYPE_CHECKING:
    import onnx

REMEMBERED = 1 << 15

Numbers = tuple[int, str, tuple[int, ...], bytes]  # of an input: its place, type, shape and values


@lru_cache(REMEMBERED)
def inferred_outputs(
    domain: str,
    kind: str,
    opset: int,
    attributes: tuple[bytes, ...],
    inputs: tuple[Tensor | None, ...],
    values: tuple[Numbers, ...],
    outputs: int,
) -> tuple[Tensor | None, ...]:
    """Return what each output is; None where nothing is known of it.

    `inputs` are None where they are left out; `values` are the numbers of some; `attributes` are serialized.
    """
    from onnx import AttributeProto, NodeProto, TensorProto, defs, helper, shape_inference

    names = [f"i{place}" if tensor else "" for place, tensor in enumerate(inputs)]
    node = NodeProto(op_type=kind, domain=domain, input=names, output=[f"o{place}" for place in range(outputs)])
    node.attribute.extend(AttributeProto.FromString(attribute) for attribute in attributes)
    known = {name: _type(tensor) for name, tensor in zip(names, inputs, strict=True) if tensor}
    data = {
        f"i{place}": TensorProto(data_type=type_number(dtype), dims=shape, raw_data=numbers)
        for place, dtype, shape, numbers in values
    }
    try:
        schema = defs.get_schema(kind, opset, domain)
        opsets = [helper.make_opsetid(domain, opset)]
        found = shape_inference.infer_node_outputs(schema, node, known, data, opset_imports=opsets)
    except (defs.SchemaError, shape_inference.InferenceError, ValueError):  # ValueError: an input's type is not known
        return (None,) * outputs
    return tuple(tensor_of(found[name]) if name in found else None for name in node.output)


def _type(tensor: Tensor) -> onnx.TypeProto:
    from onnx import TypeProto, helper

    if tensor.dtype == UNKNOWN.dtype:
        return TypeProto()
    return helper.make_tensor_type_proto(type_number(tensor.dtype), tensor.shape)
