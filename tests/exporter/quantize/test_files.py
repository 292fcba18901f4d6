"""ONNX files from anywhere, quantized by a policy."""

import numpy as np
import onnx
import pytest

from hwloop.errors import ModelError, UsageError
from hwloop.exporter.quantize.files import quantize_file
from hwloop.exporter.quantize.samples import Samples
from hwloop.exporter.quantize.verify import scheme_of
from hwloop.records import QuantPolicy, Scheme


@pytest.fixture
def path(tmp_path):
    """A perceptron: x[batch, 8] → fc1 → fc2 → y."""
    random = np.random.default_rng(0)
    weights = [onnx.numpy_helper.from_array(random.standard_normal((8, 8), np.float32), f"w{n}") for n in (1, 2)]
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "w1"], ["h"], "fc1"),
        onnx.helper.make_node("MatMul", ["h", "w2"], ["y"], "fc2"),
    ]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 8]) for name in "xy"]
    graph = onnx.helper.make_graph(nodes, "perceptron", ends[:1], ends[1:], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_each_layer_is_in_its_scheme(path, tmp_path):
    policy = QuantPolicy({"fc1": Scheme.INT8_STATIC, "fc2": Scheme.INT8_DYNAMIC})
    written = quantize_file(path, tmp_path, policy, {"batch": 2})
    assert written != path and written.name.startswith("model-")
    assert scheme_of(onnx.load(written)) == {"fc1": Scheme.INT8_STATIC, "fc2": Scheme.INT8_DYNAMIC}


def test_ranges_come_from_the_samples_by_the_method(path, tmp_path):
    policy = QuantPolicy({"*": Scheme.INT8_STATIC})
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(1).standard_normal((64, 8), np.float32) ** 3)
    samples = Samples.load(tmp_path / "data.npz")
    files = {
        quantize_file(path, tmp_path, policy, {"batch": 4}, given, method).read_bytes()
        for given, method in ((None, "min-max"), (samples, "min-max"), (samples, "entropy"))
    }
    assert len(files) == 3
    with pytest.raises(UsageError, match="no method 'median'"):
        quantize_file(path, tmp_path, policy, {"batch": 4}, samples, "median")


def test_a_size_that_is_open_and_a_file_that_is_no_model_are_refused(path, tmp_path):
    with pytest.raises(ModelError, match="batch"):
        quantize_file(path, tmp_path, QuantPolicy({"*": Scheme.FP32}), {})
    with pytest.raises(ModelError, match="no such file"):
        quantize_file(tmp_path / "nowhere.onnx", tmp_path, QuantPolicy({"*": Scheme.FP32}), {})
