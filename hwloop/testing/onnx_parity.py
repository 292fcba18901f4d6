"""Small ONNX graphs, and whether compiled code computes what ONNX Runtime does on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 9


def network(
    nodes: Sequence[onnx.NodeProto], shape: Sequence[int], constants: Mapping[str, np.ndarray]
) -> onnx.ModelProto:
    """Return a model of nodes from `x`, float32 of a shape, to `y`."""
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    known = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(list(nodes), "graph", [image], [result], known)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def agree(compiler: Any, model: onnx.ModelProto) -> Any:
    """Run a model of one input with both and return what `compiler` told.

    `compiler.run_onnx(model, *inputs)` compiles a model and returns its result, and what there is to tell.

    Raises:
        AssertionError: the results differ.
    """
    import onnxruntime

    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    found, told = compiler.run_onnx(model, x)
    (wanted,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    return told
