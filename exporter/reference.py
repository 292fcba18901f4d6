"""What is right: ONNX Runtime on the host, with the model as it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hwloop.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

    from hwloop.exporter.model import Model

# ONNX Runtime's words for an operator that it does not know; it has no error of its own for it.
UNKNOWN_OPERATOR = ("is not a registered function/op", "No Op registered for", "No opset import for domain")


class OperatorMissing(ModelError):
    """ONNX Runtime on this host lacks an operator of the model, or lacks it for the model's types."""


class Reference:
    """A model loaded once into ONNX Runtime on the host's CPU, with one thread."""

    def __init__(self, model: Model, *, optimized: bool = True) -> None:
        """Load a model, with ONNX Runtime's optimizations of its graph or node by node.

        Raises:
            OperatorMissing: ONNX Runtime has no such operator.
            ModelError: ONNX Runtime cannot load it for another reason; the message carries its words.
        """
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # since 1.29 it reports models to its makers unless told not to
        import onnxruntime as ort
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        self._model = model
        self._causes = (
            state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented,
            state.RuntimeException, state.NoSuchFile, state.EPFail,
        )  # fmt: skip
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        if not optimized:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        for name, size in model.dims.items():
            options.add_free_dimension_override_by_name(name, size)
        try:
            self._session = ort.InferenceSession(model.path, options, providers=["CPUExecutionProvider"])
        except self._causes as error:
            words = str(error)
            missing = isinstance(error, state.NotImplemented) or any(key in words for key in UNKNOWN_OPERATOR)
            raise self._refused("load", error, OperatorMissing if missing else ModelError) from error

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model once; return every output by name.

        Raises:
            ModelError: ONNX Runtime cannot run it with these inputs; the message carries its words.
        """
        try:
            values = self._session.run(None, {name: _as_fed(array) for name, array in arrays.items()})
        except self._causes as error:
            raise self._refused("run", error, ModelError) from error
        return {output.name: value for output, value in zip(self._session.get_outputs(), values, strict=True)}

    def _refused(self, verb: str, error: Exception, kind: type[ModelError]) -> ModelError:
        remedy = "Check the model with `python -m onnx.checker`"
        if verb == "run":
            sizes = ", or other sizes with --shape" if self._model.used_shapes else ""
            remedy = f"Give inputs that it accepts with --input NAME=FILE.npy{sizes}"
        words = f"{self._model.path}: ONNX Runtime on this host cannot {verb} it: {str(error).strip()}"
        return kind(words, remedy=f"{remedy}.")


def run_reference(model: Model, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Load a model and run it once; returns and raises as `Reference` does."""
    return Reference(model).run(arrays)


def _as_fed(array: np.ndarray) -> object:
    import onnxruntime as ort
    from onnx import TensorProto

    if array.dtype.name != "bfloat16":
        return array
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view("uint16"), TensorProto.BFLOAT16)
