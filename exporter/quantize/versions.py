"""Raising a model's opset to one with the operators that quantization takes."""

from __future__ import annotations

import onnx
from onnx import version_converter

from hwloop.errors import UsageError
from hwloop.exporter.quantize.wiring import STANDARD

IR_VERSION = 10  # the first that has 4-bit numbers


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that a model uses; 0 if it does not say."""
    return max((entry.version for entry in model.opset_import if entry.domain in STANDARD), default=0)


def at_least(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return a model, or a copy of it that was converted to an opset if its own is lower.

    Raises:
        UsageError: it cannot be converted.
    """
    found = opset_of(model)
    if found >= opset:
        return model
    try:
        converted = version_converter.convert_version(model, opset)
    except (RuntimeError, version_converter.ConvertError) as error:
        raise UsageError(
            f"the policy needs opset {opset}, and the model, of opset {found}, cannot be converted: {error}",
            remedy=f"Export the model with opset {opset} or newer.",
        ) from error
    if opset >= 21:
        converted.ir_version = max(converted.ir_version, IR_VERSION)
    return converted
