"""ONNX Runtime through its Python package."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from .failed import Failed
from .tensors import content

if TYPE_CHECKING:
    from collections.abc import Callable

    from .profiling import Kernels
    from .runtimes import Output

KERNEL = "_kernel_time"
CONTAINERS = ("If", "Loop", "Scan")


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

    def load(self, path: str, job: dict[str, Any], profile: str = "") -> None:
        """Make a session of one model; its inputs are bound once. It writes a `profile` where a path is given."""
        options = self.ort.SessionOptions()
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = profile
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

    def profile(self, path: str, job: dict[str, Any], warm: int, calls: int, clock: Callable[[], int]) -> Kernels:
        """Return what each node cost in some calls, in nanoseconds, by ONNX Runtime's own profiler and clock."""
        with tempfile.TemporaryDirectory() as folder:
            self.load(path, job, profile=os.path.join(folder, "profile"))
            for _ in range(warm + calls):
                self.call()
            with open(self.session.end_profiling(), encoding="utf-8") as file:
                events = json.load(file)
        return node_costs(events, warm, calls)

    def outputs(self) -> list[Output]:
        """Return (name, type, shape, bytes) of every output of the last call."""
        values = [self.numpy.ascontiguousarray(value.numpy()) for value in self.binding.get_outputs()]
        return [(name, str(value.dtype), list(value.shape), value.tobytes()) for name, value in zip(self.names, values)]


def node_costs(events: list[dict[str, Any]], warm: int, calls: int) -> Kernels:
    """Return the nanoseconds of each node's executions after the warm-up, out of a profile's events."""
    nodes: dict[str, tuple[str, list[int]]] = {}
    for event in events:
        kind = event.get("args", {}).get("op_name", "")
        # The node of a loop or a branch takes as long as all that is in it, which has events of its own.
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL) and kind not in CONTAINERS:
            nodes.setdefault(event["name"][: -len(KERNEL)], (kind, []))[1].append(event["dur"] * 1000)
    return [
        (name, kind, costs[len(costs) * warm // (warm + calls) :]) for name, (kind, costs) in nodes.items() if costs
    ]


def storage_type(dtype: str) -> str:
    """Return the numpy type that holds the bytes of `dtype`."""
    return "uint16" if dtype == "bfloat16" else dtype
