"""The shapes of what ONNX Runtime's own operators make, which onnx does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hwloop.exporter.kernels.tensors import UNKNOWN, Tensor

Rule = Callable[[Sequence[Tensor], Mapping[str, Any]], Tensor]


def contrib_output(kind: str, inputs: Sequence[Tensor], attributes: Mapping[str, Any]) -> Tensor | None:
    """Return an operator's first output; None where it is not known here."""
    rule = RULES.get(kind)
    return rule(inputs, attributes) if rule and inputs and inputs[0].shape is not None else None


def broadcast(left: Tensor, right: Tensor) -> Tensor:
    """Return the left type with the shape that both are broadcast to."""
    if left.shape is None or right.shape is None:
        return Tensor(left.dtype, None)
    rank = max(len(left.shape), len(right.shape))
    one, other = ((1,) * (rank - len(shape)) + shape for shape in (left.shape, right.shape))
    return Tensor(left.dtype, tuple(b if a == 1 else a for a, b in zip(one, other, strict=True)))


def _first(inputs: Sequence[Tensor], _: Mapping[str, Any]) -> Tensor:
    return inputs[0]


def _dequantized(inputs: Sequence[Tensor], _: Mapping[str, Any]) -> Tensor:
    return Tensor(inputs[1].dtype, inputs[0].shape)


def _quantized(inputs: Sequence[Tensor], _: Mapping[str, Any]) -> Tensor:
    return Tensor(inputs[2].dtype if len(inputs) > 2 else "uint8", inputs[0].shape)


def _linear_add(inputs: Sequence[Tensor], _: Mapping[str, Any]) -> Tensor:
    return broadcast(inputs[0], inputs[3]) if len(inputs) > 3 else inputs[0]


def _packed(inputs: Sequence[Tensor], attributes: Mapping[str, Any]) -> Tensor:
    return Tensor(inputs[0].dtype, (*(inputs[0].shape or ())[:-1], attributes.get("N")))


def _product(inputs: Sequence[Tensor], attributes: Mapping[str, Any]) -> Tensor:
    left, right = inputs[0].shape, inputs[1].shape
    if left is None or right is None or len(left) < 2 or len(right) < 2:
        return Tensor(inputs[0].dtype, None)
    if attributes.get("transA"):
        left = (*left[:-2], left[-1], left[-2])
    if attributes.get("transB"):
        right = (*right[:-2], right[-1], right[-2])
    outer = broadcast(Tensor("float", left[:-2]), Tensor("float", right[:-2])).shape or ()
    return Tensor(inputs[0].dtype, (*outer, left[-2], right[-1]))


def _float_product(inputs: Sequence[Tensor], attributes: Mapping[str, Any]) -> Tensor:
    return Tensor("float", _product(inputs, attributes).shape)


def _linear_product(inputs: Sequence[Tensor], attributes: Mapping[str, Any]) -> Tensor:
    return _product((inputs[0], inputs[3]), attributes) if len(inputs) > 3 else UNKNOWN


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        [
            "BiasGelu",
            "BiasSoftmax",
            "FastGelu",
            "Gelu",
            "GroupNorm",
            "QLinearLeakyRelu",
            "QLinearSigmoid",
            "QLinearSoftmax",
            "QuickGelu",
            "RotaryEmbedding",
            "SimplifiedLayerNormalization",
            "SkipLayerNormalization",
            "SkipSimplifiedLayerNormalization",
        ],
        _first,
    ),
    "DequantizeLinear": _dequantized,
    "DynamicQuantizeMatMul": _float_product,
    "FusedGemm": _product,
    "FusedMatMul": _product,
    "MatMulIntegerToFloat": _float_product,
    "MatMulNBits": _packed,
    "QGemm": _linear_product,
    "QLinearAdd": _linear_add,
    "QLinearMul": _linear_add,
    "QuantizeLinear": _quantized,
}
