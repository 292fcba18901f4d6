"""What is right: ONNX Runtime on the host, with the model as it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwloop.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from hwloop.exporter.model import Model


def run_reference(model: Model, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a model once on the host's CPU, on one thread; return every output by name.

    Raises:
        ModelError: ONNX Runtime cannot load or run the model; the message carries its words.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # since 1.29 it reports models to its makers unless told not to
    import onnxruntime as ort
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    for name, size in model.dims.items():
        options.add_free_dimension_override_by_name(name, size)
    causes = (
        state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented,
        state.RuntimeException, state.NoSuchFile, state.EPFail,
    )  # fmt: skip
    try:
        session = ort.InferenceSession(model.path, options, providers=["CPUExecutionProvider"])
        values = session.run(None, {name: _as_fed(array) for name, array in arrays.items()})
    except causes as error:
        raise ModelError(
            f"{model.path}: ONNX Runtime on this host cannot run it: {str(error).strip()}",
            remedy="Check the model, or give it inputs that it accepts with --input NAME=FILE.npy.",
        ) from error
    return {output.name: value for output, value in zip(session.get_outputs(), values, strict=True)}


def _as_fed(array: np.ndarray) -> object:
    import onnxruntime as ort

    if array.dtype.name != "bfloat16":
        return array
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view("uint16"), 16)
