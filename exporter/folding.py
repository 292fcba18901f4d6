"""A model with its sizes worked out: shape arithmetic becomes constants."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

EXTERNAL_FROM_BYTES = 1 << 20


def fold_constants(source: Path, dims: Mapping[str, int], folder: Path) -> Path:
    """Let ONNX Runtime fold what does not depend on the inputs' values; return the new file in `folder`.

    `dims` are the sizes of named symbolic dimensions. Standard operators come out (level BASIC). Large constants go
    into a second file beside the new one, so that models beyond protobuf's 2 GiB pass.

    Raises:
        Exception: ONNX Runtime's own errors, for a model that it cannot load.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime as ort

    folded = folder / "folded.onnx"
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    entry = "session.optimized_model_external_initializers_"
    options.add_session_config_entry(f"{entry}file_name", "folded.data")
    options.add_session_config_entry(f"{entry}min_size_in_bytes", str(EXTERNAL_FROM_BYTES))
    for name, size in dims.items():
        options.add_free_dimension_override_by_name(name, size)
    ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return folded
