"""ONNX Runtime: the model as it is."""

from __future__ import annotations

from hwloop.deadline import Deadline
from hwloop.digests import digest_file
from hwloop.exporter.model import Model
from hwloop.records import Artifact, Failure, RuntimeNeeds, Target, WheelNeed

ENTRY = "model.onnx"


class OnnxRuntime:
    """Pushes the ONNX file and its external data; ONNX Runtime optimizes the graph on the device."""

    name = "onnxruntime"
    compiles = False

    def needs(self) -> RuntimeNeeds:
        """Return onnxruntime and the numpy that it passes tensors with."""
        return RuntimeNeeds(self.name, (WheelNeed("onnxruntime"), WheelNeed("numpy")))

    def build(self, model: Model, target: Target, version: str, deadline: Deadline) -> Artifact | Failure:
        """Gather the files; symbolic dimensions are bound when the runtime loads them."""
        files = {ENTRY: model.path, **model.external}
        return Artifact(
            runtime=self.name,
            runtime_version=version,
            model_digest=model.digest,
            files=files,
            digests={name: digest_file(path) for name, path in files.items()},
            entry=ENTRY,
            inputs=model.inputs,
            outputs=model.outputs,
            options={"dims": dict(model.dims)},
        )
