"""Models with their inputs, under names that tell them apart."""

import numpy as np
import pytest

from hwloop.errors import ModelError, UsageError
from hwloop.measure.workload import load_workloads
from hwloop.testing.models import embedding, perceptron


def test_models_are_named_by_their_files_and_by_their_folders_where_those_are_equal(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = [
        perceptron(tmp_path / "a" / "net.onnx"),
        perceptron(tmp_path / "b" / "net.onnx"),
        perceptron(tmp_path / "c.onnx"),
    ]
    assert [load.name for load in load_workloads(paths, {}, {}, 0)] == ["a/net", "b/net", "c"]


def test_a_file_that_is_named_twice_is_measured_once(tmp_path):
    path = perceptron(tmp_path / "net.onnx")
    assert len(load_workloads([path, path], {}, {}, 0)) == 1


def test_the_batch_is_the_first_size_of_the_first_input(tmp_path):
    assert load_workloads([perceptron(tmp_path / "net.onnx", rows=5)], {}, {}, 0)[0].batch == 5


def test_a_size_goes_to_every_model_that_has_it(tmp_path):
    paths = [embedding(tmp_path / "one.onnx"), embedding(tmp_path / "two.onnx"), perceptron(tmp_path / "net.onnx")]
    loads = load_workloads(paths, {"batch": 2, "length": 3}, {}, 0)
    assert [load.batch for load in loads] == [2, 2, 8]


@pytest.mark.parametrize(("shapes", "given", "told"), [({"height": 2}, {}, "height"), ({}, {"z": "z.npy"}, "z")])
def test_what_no_model_has_is_refused(tmp_path, shapes, given, told):
    with pytest.raises(UsageError, match=told):
        load_workloads([perceptron(tmp_path / "net.onnx")], shapes, given, 0)


def test_one_bad_model_refuses_all(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        load_workloads([perceptron(tmp_path / "net.onnx"), tmp_path / "bad.onnx"], {}, {}, 0)


def test_equal_seeds_give_equal_inputs(tmp_path):
    path = perceptron(tmp_path / "net.onnx")
    one, same, other = (load_workloads([path], {}, {}, seed)[0].inputs for seed in (1, 1, 2))
    assert one.digest == same.digest != other.digest
    assert np.isfinite(one.arrays["x"]).all()
