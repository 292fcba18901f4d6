"""ONNX Runtime: the model as it is."""

from __future__ import annotations

from hwloop.deadline import Deadline
from hwloop.exporter.model import Model
from hwloop.records import Artifact, Failure, RuntimeNeeds, Target, WheelNeed

ENTRY = "model.onnx"


class OnnxRuntime:
    """Pushes the ONNX file and its external data; ONNX Runtime optimizes the graph on the device."""

    name = "onnxruntime"
    compiles = False
    revision = "as-is"

    def needs(self) -> RuntimeNeeds:
        """Return onnxruntime and the numpy that it passes tensors with."""
        return RuntimeNeeds(self.name, (WheelNeed("onnxruntime"), WheelNeed("numpy")))

    def build(self, model: Model, target: Target, version: str, deadline: Deadline) -> Artifact | Failure:
        """Gather the files; symbolic dimensions are bound when the runtime loads them.

        A layer that ONNX Runtime would not run as it is quantized makes a Failure.
        """
        import onnx

        from hwloop.exporter.quantize.support import support_failure

        model.require_unchanged()
        failure = support_failure(self.name, onnx.load(model.path, format="protobuf", load_external_data=False))
        if failure:
            return failure
        entry = ENTRY
        while entry in model.external:
            entry = f"_{entry}"
        return Artifact(
            runtime=self.name,
            runtime_version=version,
            model_digest=model.digest,
            files={entry: model.path, **model.external},
            digests={entry: model.file_digest, **model.external_digests},
            entry=entry,
            inputs=model.inputs,
            outputs=model.outputs,
            options={"dims": dict(model.dims)},
        )

    def stop(self) -> None:
        """Do nothing: gathering files takes but a moment."""
