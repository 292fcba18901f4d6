"""int8 variants of a network, by ONNX Runtime's own tools."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwloop.exporter.inputs import make_inputs
from hwloop.exporter.model import load_model

SAMPLES = 4


def dynamic_int8(source: Path, path: Path) -> Path:
    """Write a variant whose products quantize their left side as they run: DynamicQuantizeLinear, MatMulInteger."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        quantize_dynamic(_prepared(source, Path(folder)), path, weight_type=QuantType.QInt8, per_channel=True)
    return path


def static_int8(source: Path, path: Path) -> Path:
    """Write a QDQ variant, weights per channel, calibrated on a few random inputs."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    model = load_model(source)
    samples = iter([make_inputs(model, seed).arrays for seed in range(SAMPLES)])

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Mapping[str, Any] | None:
            return next(samples, None)

    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    with tempfile.TemporaryDirectory() as folder:
        prepared = _prepared(source, Path(folder))
        quantize_static(prepared, path, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, **kinds)
    return path


def _prepared(source: Path, folder: Path) -> Path:
    """Return the model with shapes inferred and graph optimizations applied, as the tools want it."""
    from onnxruntime.quantization import quant_pre_process

    prepared = folder / "prepared.onnx"
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    return prepared
