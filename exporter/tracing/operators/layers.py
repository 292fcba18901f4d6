"""Layers with weights, norms and attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hwloop.errors import ModelError
from hwloop.exporter.tracing.operators.call import Call, Emit, pair


def _linear(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> str:
    product = call.layer("MatMul", x, call.name(weight.t(), "weight"))
    if bias is None:
        return product
    named = call.name(bias, "bias")
    return call.graph.node("Add", [product, named], call.scope, name=f"{call.scope}/bias")


def _conv2d(
    call: Call,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> str:
    if isinstance(padding, str):
        raise ModelError(f"{call.scope}: padding {padding!r} has no ONNX form here", remedy="Give it in numbers.")
    inputs = [x, call.name(weight, "weight"), *([] if bias is None else [call.name(bias, "bias")])]
    down, across = pair(padding)
    return call.layer(
        "Conv",
        *inputs,
        kernel_shape=list(weight.shape[2:]),
        strides=pair(stride),
        pads=[down, across, down, across],
        dilations=pair(dilation),
        group=groups,
    )


def _layer_norm(
    call: Call,
    x: Tensor,
    shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> str:
    ones = torch.ones(tuple(shape)) if weight is None else weight
    inputs = [x, call.name(ones, "weight"), *([] if bias is None else [call.name(bias, "bias")])]
    return call.op("LayerNormalization", *inputs, axis=-len(shape), epsilon=eps)


def _batch_norm(
    call: Call,
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> str:
    if training:
        raise ModelError(f"{call.scope}: a batch norm in training has no ONNX form", remedy="Call eval() first.")
    labels = ((weight, "weight"), (bias, "bias"), (mean, "mean"), (variance, "variance"))
    return call.op("BatchNormalization", x, *(call.name(value, label) for value, label in labels), epsilon=eps)


def _embedding(call: Call, indices: Tensor, weight: Tensor, *_: Any, **__: Any) -> str:
    return call.layer("Gather", call.name(weight, "weight"), indices, axis=0)


def _attention(
    call: Call,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> str:
    if is_causal:
        raise ModelError(f"{call.scope}: is_causal has no ONNX form here", remedy="Give the mask as attn_mask.")
    axes = [*range(k.dim() - 2), k.dim() - 1, k.dim() - 2]
    scores = call.op("MatMul", q, call.op("Transpose", k, perm=axes))
    scores = call.op("Mul", scores, call.like(scale or 1 / math.sqrt(q.shape[-1])))
    if attn_mask is not None:
        scores = call.op("Add", scores, attn_mask)
    return call.op("MatMul", call.op("Softmax", scores, axis=-1), v)


LAYERS: dict[Any, Emit] = {
    **dict.fromkeys([F.linear], _linear),
    F.conv2d: _conv2d,
    F.layer_norm: _layer_norm,
    F.batch_norm: _batch_norm,
    F.embedding: _embedding,
    F.scaled_dot_product_attention: _attention,
}
