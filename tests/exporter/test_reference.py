"""The reference: ONNX Runtime on the host, every output, the model as it is."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwloop.errors import ModelError
from hwloop.exporter.model import load_model
from hwloop.exporter.reference import OperatorMissing, Reference, run_reference

FLOAT = TensorProto.FLOAT


def test_every_output_is_returned_by_name(save):
    path = save(
        [helper.make_node("Split", ["x"], ["low", "high"], axis=0)],
        {"x": (FLOAT, ["n"])},
        {"low": (FLOAT, [None]), "high": (FLOAT, [None])},
    )
    outputs = run_reference(load_model(path, {"n": 4}), {"x": np.arange(4, dtype=np.float32)})
    assert outputs["low"].tolist() == [0, 1] and outputs["high"].tolist() == [2, 3]


def test_external_data_is_found(save):
    path = save(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        {"x": (FLOAT, [64])},
        {"y": (FLOAT, [64])},
        {"w": np.ones(64, np.float32)},
        save={"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0},
    )
    outputs = run_reference(load_model(path), {"x": np.zeros(64, np.float32)})
    assert outputs["y"].tolist() == [1] * 64


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Strange", ["x"], ["y"], domain="org.example"),
        helper.make_node("Strange", ["x"], ["y"]),
    ],
)
def test_an_operator_that_nobody_knows_is_told_apart(save, node):
    path = save([node], {"x": (FLOAT, [3])}, {"y": (FLOAT, [3])}, imports=[helper.make_opsetid("org.example", 1)])
    with pytest.raises(OperatorMissing, match="Strange"):
        Reference(load_model(path))


def test_a_type_that_no_kernel_takes_is_told_apart(save):
    path = save(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        {"x": (TensorProto.BFLOAT16, [3])},
        {"y": (TensorProto.BFLOAT16, [3])},
    )
    with pytest.raises(OperatorMissing, match="Add"):
        Reference(load_model(path))


def test_a_graph_with_a_loose_end_is_the_models_fault(save):
    path = save([helper.make_node("Relu", ["nowhere"], ["y"])], {"x": (FLOAT, [1])}, {"y": (FLOAT, [1])})
    with pytest.raises(ModelError, match=r"model\.onnx: .*nowhere") as caught:
        Reference(load_model(path))
    assert not isinstance(caught.value, OperatorMissing)
