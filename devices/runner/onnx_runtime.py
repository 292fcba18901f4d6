"""ONNX Runtime through its Python package."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from .failed import Failed
from .tensors import content

if TYPE_CHECKING:
    from .runtimes import Output


class OnnxRuntime:
    """onnxruntime's Python package, unpacked into a folder."""

    def __init__(self, folder: str) -> None:
        sys.path.insert(0, folder)
        # Since 1.29 onnxruntime reports models to its makers unless told not to; its thread disturbs timings too.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import numpy
        import onnxruntime

        self.numpy = numpy
        self.ort = onnxruntime

    def load(self, path: str, job: dict[str, Any]) -> None:
        """Make a session of one model; its inputs are bound once."""
        options = self.ort.SessionOptions()
        options.intra_op_num_threads = job["threads"]
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        for name, size in (job["options"].get("dims") or {}).items():
            options.add_free_dimension_override_by_name(name, size)
        try:
            self.session = self.ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            self.bind(job)
        except MemoryError as error:
            raise Failed("out of memory", str(error))
        except Exception as error:  # onnxruntime's exceptions have no common base but this one
            kind = "unsupported operator" if "NOT_IMPLEMENTED" in str(error) else "load failed"
            raise Failed(kind, str(error))

    def bind(self, job: dict[str, Any]) -> None:
        """Bind inputs to their data, and outputs to this runtime's memory."""
        self.names = [output.name for output in self.session.get_outputs()]
        self.binding = self.session.io_binding()
        self.inputs = []
        for spec in job["inputs"]:
            data = self.numpy.frombuffer(content(spec), dtype=storage_type(spec["dtype"]))
            shaped = data.reshape(spec["shape"])
            make = self.ort.OrtValue.ortvalue_from_numpy
            if spec["dtype"] == "bfloat16":
                make = lambda value: self.ort.OrtValue.ortvalue_from_numpy_with_onnx_type(value, 16)  # noqa: E731
            self.inputs.append(make(shaped))
            self.binding.bind_ortvalue_input(spec["name"], self.inputs[-1])
        for name in self.names:
            self.binding.bind_output(name)

    def call(self) -> None:
        """Run the model once."""
        self.session.run_with_iobinding(self.binding)

    def outputs(self) -> list[Output]:
        """Return (name, type, shape, bytes) of every output of the last call."""
        values = [self.numpy.ascontiguousarray(value.numpy()) for value in self.binding.get_outputs()]
        return [(name, str(value.dtype), list(value.shape), value.tobytes()) for name, value in zip(self.names, values)]


def storage_type(dtype: str) -> str:
    """Return the numpy type that holds the bytes of `dtype`."""
    return "uint16" if dtype == "bfloat16" else dtype
