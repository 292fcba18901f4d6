"""ONNX Runtime's artifact: the model's own files, under the names that the model knows."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwloop.deadline import Deadline
from hwloop.digests import digest_file
from hwloop.errors import ModelError
from hwloop.exporter.model import load_model
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.records import Artifact, Target

TARGET = Target("aarch64-linux-gnu", "cortex-a72")


def built(path, **shapes) -> Artifact:
    artifact = OnnxRuntime().build(load_model(path, shapes), TARGET, "1.2.3", Deadline.after(10))
    assert isinstance(artifact, Artifact)
    return artifact


def with_external_data(save, location):
    return save(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        {"x": (TensorProto.FLOAT, [64])},
        {"y": (TensorProto.FLOAT, [64])},
        {"w": np.ones(64, np.float32)},
        name="mine.onnx",
        save={"save_as_external_data": True, "location": location, "size_threshold": 0},
    )


def test_the_file_goes_as_it_is_with_the_sizes_of_its_dimensions(relu):
    path = relu(shape=("batch", 3))
    artifact = built(path, batch=2)
    assert artifact.files == {artifact.entry: path}
    assert artifact.digests == {artifact.entry: digest_file(path)}
    assert artifact.options == {"dims": {"batch": 2}}
    assert artifact.inputs[0].shape == (2, 3)
    assert artifact.runtime_version == "1.2.3" and artifact.target is None


def test_other_sizes_make_another_artifact(relu):
    path = relu(shape=("batch", 3))
    assert built(path, batch=2).digest == built(path, batch=2).digest != built(path, batch=3).digest


def test_external_data_keeps_the_name_that_the_model_has_for_it(save):
    artifact = built(with_external_data(save, "weights.bin"))
    assert set(artifact.files) == {"model.onnx", "weights.bin"}
    assert artifact.digests == {name: digest_file(path) for name, path in artifact.files.items()}


def test_external_data_may_be_called_like_the_model(save):
    artifact = built(with_external_data(save, "model.onnx"))
    assert artifact.entry == "_model.onnx"
    assert artifact.files["_model.onnx"].name == "mine.onnx"
    assert artifact.files["model.onnx"].stat().st_size == 256


def test_a_file_that_changed_since_it_was_read_is_refused(relu):
    path = relu(shape=(2, 3))
    model = load_model(path)
    relu(shape=(2, 4))
    with pytest.raises(ModelError, match="changed after it was read"):
        OnnxRuntime().build(model, TARGET, "1.2.3", Deadline.after(10))


def test_the_device_needs_onnxruntime_and_numpy():
    assert [wheel.requirement for wheel in OnnxRuntime().needs().wheels] == ["onnxruntime", "numpy"]
