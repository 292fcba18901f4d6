"""Arithmetic with shapes gives what onnx's own reference gives."""

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from hwloop.exporter.kernels.tensors import MOST_NUMBERS
from hwloop.exporter.kernels.values import RULES, compute


def whole(*values):
    return np.asarray(values, np.int64)


A, B = whole(7, -3, 12, 5), whole(2, 2, -5, 5)
FRONT, BACK = whole(0), whole(-1)
TRUE = np.asarray([True, False, True, False])
FOURS = onnx.numpy_helper.from_array(np.asarray([4], np.int64))
CASES = {
    **{kind: ([A, B], {}) for kind in ("Add", "Sub", "Mul", "Div", "Mod", "Equal", "Less", "Greater")},
    **{kind: ([A, B, whole(1, 2, 3, 4)], {}) for kind in ("Max", "Min")},
    **{kind: ([np.asarray([1.5, 4.25], np.float32)], {}) for kind in ("Ceil", "Floor", "Sqrt")},
    "Cast": ([A], {"to": onnx.TensorProto.FLOAT}),
    "Concat": ([A, B], {"axis": 0}),
    "ConstantOfShape": ([whole(2, 3)], {"value": FOURS}),
    "Gather": ([A, whole(2, 0)], {"axis": 0}),
    "Identity": ([A], {}),
    "Neg": ([A], {}),
    "Not": ([TRUE], {}),
    "Range": ([np.int64(1), np.int64(9), np.int64(3)], {}),
    "ReduceProd": ([A], {}),
    "Reshape": ([A, whole(2, -1)], {}),
    "Slice": ([A, whole(1), whole(2**63 - 1), whole(0), whole(2)], {}),
    "Squeeze": ([A.reshape(1, 4), FRONT], {}),
    "Unsqueeze": ([A, BACK], {}),
    "Where": ([TRUE, A, B], {}),
}


def test_every_rule_has_a_case():
    assert CASES.keys() == RULES.keys()


@pytest.mark.parametrize("kind", CASES)
def test_a_rule_gives_what_onnx_gives(kind):
    operands, attributes = CASES[kind]
    operands = [np.asarray(operand) for operand in operands]
    names = [f"i{place}" for place in range(len(operands))]
    node = helper.make_node(kind, names, ["y"], **attributes)
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(operand.dtype), operand.shape)
        for name, operand in zip(names, operands, strict=True)
    ]
    graph = helper.make_graph([node], "g", inputs, [helper.make_empty_tensor_value_info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    (expected,) = ReferenceEvaluator(model).run(None, dict(zip(names, operands, strict=True)))
    # As they are kept of a node: attributes by name.
    kept = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    found = compute(kind, operands, kept)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_what_is_not_small_is_not_computed():
    assert compute("ConstantOfShape", [whole(MOST_NUMBERS + 1)], {}) is None
    assert compute("Range", [whole(0), whole(10**9), whole(1)], {}) is None


def test_what_does_not_fit_is_not_known():
    assert compute("Reshape", [A, whole(3)], {}) is None
    assert compute("Concat", [A, B], {}) is None
    assert compute("Wonder", [A], {}) is None
