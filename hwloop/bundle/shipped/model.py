"""The bundle's model in Python: no packages needed but those of this bundle.

    from driver.model import Model
    model = Model("/where/the/bundle/is")
    outputs = model.run({"x": bytes_of_x})  # name → (type, shape, bytes)

Values are in C order, little-endian, of the types and shapes in `model.inputs` and `model.outputs`.
"""

from __future__ import annotations

import importlib
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DRIVERS = {"tvm": ("tvm_runtime", "TvmRuntime"), "onnxruntime": ("onnx_runtime", "OnnxRuntime")}


class Model:
    """A bundle's model, loaded once; one thread at a time may run it."""

    def __init__(self, folder: str, threads: int = 1) -> None:
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        self.folder = folder
        self.inputs: list[dict[str, Any]] = manifest["inputs"]
        self.outputs: list[dict[str, Any]] = manifest["outputs"]
        module, name = DRIVERS[manifest["runtime"]["name"]]
        driver = getattr(importlib.import_module("driver." + module), name)
        self._runtime = driver(os.path.join(folder, "runtime"))
        self._job = {
            "threads": threads,
            "options": manifest["model"]["options"],
            "inputs": self._bound(self.reference_inputs()),
            "outputs": self.outputs,
        }
        self._runtime.load(os.path.join(folder, manifest["model"]["entry"]), self._job)

    def run(self, inputs: Mapping[str, bytes]) -> dict[str, tuple[str, list[int], bytes]]:
        """Return the type, the shape and the bytes of every output by name, for the bytes of every input by name."""
        self._runtime.bind({**self._job, "inputs": self._bound(inputs)})
        self._runtime.call()
        return {name: (dtype, shape, data) for name, dtype, shape, data in self._runtime.outputs()}

    def reference_inputs(self) -> dict[str, bytes]:
        """Return the bytes of the inputs that the bundle is verified with, by name."""
        found = {}
        for spec in self.inputs:
            with open(os.path.join(self.folder, spec["file"]), "rb") as file:
                found[spec["name"]] = file.read()
        return found

    def _bound(self, inputs: Mapping[str, bytes]) -> list[dict[str, Any]]:
        return [{**spec, "data": inputs[spec["name"]]} for spec in self.inputs]
