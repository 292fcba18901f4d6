"""An ONNX file, quantized by a policy, as another file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

from hwloop.digests import digest_json
from hwloop.exporter.inputs import make_inputs
from hwloop.exporter.model import load_model
from hwloop.exporter.quantize.calibrate import calibrate
from hwloop.exporter.quantize.layers import layers_of
from hwloop.exporter.quantize.quantize import quantize
from hwloop.exporter.quantize.samples import Samples
from hwloop.records import QuantPolicy, Scheme


def quantize_file(
    path: Path,
    folder: Path,
    policy: QuantPolicy,
    shapes: Mapping[str, int],
    samples: Samples | None = None,
    method: str = "min-max",
    seed: int = 0,
) -> Path:
    """Write an ONNX file's model into a folder, each layer in the scheme that a policy gives it; return the new file.

    `shapes` are the sizes of symbolic dimensions. Ranges for int8-static are found by `method` on `samples`, or on
    inputs made up from `seed`. The file is named after the old one, and the digest of it and the policy.

    Raises:
        ModelError: the file is no usable model, or a size is not given.
        UsageError: the policy or the samples do not fit the model, or there is no such method.
    """
    model = load_model(path, shapes)
    graph = onnx.load(path, format="protobuf")
    layers = layers_of(graph)
    resolved = policy.resolved(layer.name for layer in layers)
    ranges = None
    if any(resolved[layer.name] is Scheme.INT8_STATIC for layer in layers if not layer.is_table):
        sizes = {spec.name: spec.shape[0] if spec.shape else 1 for spec in model.inputs}
        batches = samples.batches(sizes) if samples else [make_inputs(model, seed).arrays]
        ranges = calibrate(graph, batches, method)
    written = folder / f"{path.stem}-{digest_json([model.digest, policy.digest])[:8]}.onnx"
    onnx.save(quantize(graph, policy, ranges), written)
    return written
