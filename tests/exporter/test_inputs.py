"""Inputs: made so that the model accepts them, the same ones every time, or taken from files."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from hwloop.errors import ModelError, UsageError
from hwloop.exporter.inputs import make_inputs
from hwloop.exporter.model import load_model

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def made(path, seed=0, **shapes):
    return make_inputs(load_model(path, shapes), seed)


def constant(name, value):
    tensor = numpy_helper.from_array(np.asarray(value, np.int64))
    return helper.make_node("Constant", [], [name], value=tensor)


# ── floats ──


@given(seed=st.integers(0, 2**32), shape=st.lists(st.integers(1, 4), max_size=4))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_seed_names_the_inputs(relu, seed, shape):
    path = relu(shape=shape)
    first, again, other = made(path, seed), made(path, seed), made(path, seed + 1)
    assert first.digest == again.digest != other.digest
    assert np.array_equal(first.arrays["x"], again.arrays["x"])
    assert first.arrays["x"].shape == tuple(shape)


def test_floats_are_standard_normal(relu):
    values = made(relu(shape=(100, 100))).arrays["x"]
    assert abs(values.mean()) < 0.05 and abs(values.std() - 1) < 0.05


def test_inputs_of_different_names_differ(save):
    path = save(
        [helper.make_node("Add", ["a", "b"], ["y"])],
        {"a": (FLOAT, [8]), "b": (FLOAT, [8])},
        {"y": (FLOAT, [8])},
    )
    arrays = made(path).arrays
    assert not np.array_equal(arrays["a"], arrays["b"])


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.FLOAT16, np.float16), (TensorProto.DOUBLE, np.float64), (TensorProto.BOOL, np.bool_),
        (TensorProto.BFLOAT16, ml_dtypes.bfloat16), (TensorProto.UINT8, np.uint8), (TensorProto.INT8, np.int8),
        (TensorProto.UINT64, np.uint64),
    ],
)  # fmt: skip
def test_every_type_reaches_the_reference_and_the_file(save, tmp_path, kind, dtype):
    path = save([helper.make_node("Cast", ["x"], ["y"], to=FLOAT)], {"x": (kind, [2, 3])}, {"y": (FLOAT, [2, 3])})
    inputs = made(path)
    assert inputs.arrays["x"].dtype == dtype
    assert np.array_equal(inputs.reference["y"], inputs.arrays["x"].astype(np.float32))
    written = inputs.write(tmp_path / "inputs")["x"]
    assert np.array_equal(np.frombuffer(written.read_bytes(), dtype).reshape(2, 3), inputs.arrays["x"])
    assert written.name == inputs.digests["x"]


# ── integers ──


def embedding(save, before=(), table="table", rows=7, extra=(), name="ids", constants=None):
    nodes = [*before, helper.make_node("Gather", [table, before[-1].output[0] if before else name], ["y"]), *extra]
    shape = [None] * 4
    tables = {"table": np.ones((rows, 2), np.float32)} if constants is None else constants
    return save(nodes, {name: (INT64, [1, 500])}, {"y": (FLOAT, shape[: 3 + len(before) // 3])}, tables)


def test_indices_of_an_embedding_stay_within_its_rows(save):
    ids = made(embedding(save)).arrays["ids"]
    assert ids.min() == 0 and ids.max() == 6


def test_indices_are_followed_through_reshapes_and_casts(save):
    before = [
        helper.make_node("Cast", ["ids"], ["cast"], to=TensorProto.INT32),
        helper.make_node("Squeeze", ["cast"], ["squeezed"]),
        helper.make_node("Identity", ["squeezed"], ["same"]),
    ]
    path = embedding(save, before)
    assert made(path).arrays["ids"].max() == 6


def test_a_table_is_followed_back_to_its_constant(save):
    nodes = [
        helper.make_node("Cast", ["half"], ["table"], to=FLOAT),
        helper.make_node("Gather", ["table", "ids"], ["y"]),
    ]
    path = save(
        nodes,
        {"ids": (INT64, [1, 500])},
        {"y": (FLOAT, [1, 500, 2])},
        {"half": np.ones((7, 2), np.float16)},
    )
    assert made(path).arrays["ids"].max() == 6


def test_an_embedding_inside_a_branch_counts(save):
    def branch(name, *nodes):
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(f"{name}_y", FLOAT, None)])

    choose = helper.make_node(
        "If",
        ["flag"],
        ["y"],
        then_branch=branch("then", helper.make_node("Gather", ["table", "ids"], ["then_y"])),
        else_branch=branch("else", helper.make_node("Gather", ["table", "ids"], ["else_y"])),
    )
    path = save(
        [choose],
        {"flag": (TensorProto.BOOL, []), "ids": (INT64, [500])},
        {"y": (FLOAT, [500, 2])},
        {"table": np.ones((7, 2), np.float32)},
    )
    assert made(path).arrays["ids"].max() == 6


def test_the_smallest_of_several_tables_decides(save):
    path = save(
        [
            helper.make_node("Gather", ["large", "ids"], ["a"]),
            helper.make_node("Gather", ["small", "ids"], ["b"]),
            helper.make_node("Add", ["a", "b"], ["y"]),
        ],
        {"ids": (INT64, [500])},
        {"y": (FLOAT, [500, 2])},
        {"large": np.ones((70, 2), np.float32), "small": np.ones((5, 2), np.float32)},
    )
    assert made(path).arrays["ids"].max() == 4


def test_one_hot_indices_stay_below_the_depth(save):
    path = save(
        [constant("depth", [9]), helper.make_node("OneHot", ["ids", "depth", "values"], ["y"])],
        {"ids": (INT64, [500])},
        {"y": (FLOAT, [500, 9])},
        {"values": np.array([0, 1], np.float32)},
    )
    assert made(path).arrays["ids"].max() == 8


def test_what_is_compared_with_a_constant_is_that_constant(save):
    path = save(
        [constant("rate", 8000), helper.make_node("Equal", ["flavour", "rate"], ["y"])],
        {"flavour": (INT64, [])},
        {"y": (TensorProto.BOOL, [])},
    )
    assert made(path).arrays["flavour"] == 8000


def test_what_is_compared_with_a_row_of_constants_takes_their_range(save):
    path = save(
        [helper.make_node("Equal", ["bytes", "row"], ["y"])],
        {"bytes": (INT64, [500, 1])},
        {"y": (TensorProto.BOOL, [500, 257])},
        {"row": np.arange(257)},
    )
    values = made(path).arrays["bytes"]
    assert values.min() < 10 and 247 < values.max() <= 256


@pytest.mark.parametrize(("name", "value"), [("attention_mask", 1), ("sr", 16000)])
def test_masks_are_ones_and_sample_rates_16_khz(save, name, value):
    path = save([helper.make_node("Cast", [name], ["y"], to=FLOAT)], {name: (INT64, [4])}, {"y": (FLOAT, [4])})
    assert made(path).arrays[name].tolist() == [value] * 4


def test_boolean_masks_are_true(save):
    path = save(
        [helper.make_node("Not", ["mask"], ["y"])],
        {"mask": (TensorProto.BOOL, [64])},
        {"y": (TensorProto.BOOL, [64])},
    )
    assert made(path).arrays["mask"].all()


def test_without_a_hint_the_widest_range_that_runs_is_taken(save):
    """The graph selects from a computed table of two rows: only a run tells."""
    path = save(
        [helper.make_node("Add", ["x", "x"], ["sum"]), helper.make_node("Gather", ["sum", "ids"], ["y"])],
        {"x": (FLOAT, [2, 3]), "ids": (INT64, [200])},
        {"y": (FLOAT, [200, 3])},
    )
    ids = made(path).arrays["ids"]
    assert sorted(set(ids.tolist())) == [0, 1]


def test_a_hint_that_misleads_is_given_up(save):
    """Called a mask, so ones; but it selects from one row."""
    path = save(
        [helper.make_node("Add", ["x", "x"], ["sum"]), helper.make_node("Gather", ["sum", "mask"], ["y"])],
        {"x": (FLOAT, [1, 3]), "mask": (INT64, [5])},
        {"y": (FLOAT, [5, 3])},
    )
    assert not made(path).arrays["mask"].any()


def test_where_nothing_runs_the_error_says_how_to_give_inputs(save):
    path = save(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        {"x": (FLOAT, [7, 3]), "shape": (INT64, [1])},
        {"y": (FLOAT, [None])},
    )
    with pytest.raises(ModelError, match=r"model\.onnx.*cannot run it") as caught:
        made(path)
    assert "--input NAME=FILE.npy" in caught.value.remedy


def test_where_the_sizes_are_to_blame_the_error_mentions_them(save):
    path = save(
        [helper.make_node("Reshape", ["x", "pair"], ["y"])],
        {"x": (FLOAT, ["n"])},
        {"y": (FLOAT, [2, 2])},
        {"pair": np.array([2, 2])},
    )
    assert made(path, n=4).reference["y"].shape == (2, 2)
    with pytest.raises(ModelError) as caught:
        made(path, n=5)
    assert "other sizes with --shape" in caught.value.remedy


def test_a_model_that_the_reference_cannot_load_is_refused(save):
    path = save([helper.make_node("Relu", ["nowhere"], ["y"])], {"x": (FLOAT, [1])}, {"y": (FLOAT, [1])})
    with pytest.raises(ModelError, match="cannot load it"):
        made(path)


def test_an_operator_that_the_reference_lacks_leaves_it_empty(save):
    path = save(
        [helper.make_node("Strange", ["x"], ["y"], domain="org.example")],
        {"x": (FLOAT, [3])},
        {"y": (FLOAT, [3])},
        imports=[helper.make_opsetid("org.example", 1)],
    )
    inputs = made(path)
    assert inputs.arrays["x"].shape == (3,) and not inputs.reference


# ── from files ──


def given_array(path, tmp_path, array, **more):
    file = tmp_path / "x.npy"
    np.save(file, array, **more)
    return make_inputs(load_model(path), 0, {"x": file})


def test_a_given_array_is_taken_as_it_is(relu, tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    inputs = given_array(relu(), tmp_path, array)
    assert np.array_equal(inputs.arrays["x"], array)


@pytest.mark.parametrize("change", [np.asfortranarray, lambda array: array.astype(">f4")])
def test_the_order_of_a_given_arrays_bytes_does_not_matter(relu, tmp_path, change):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert given_array(relu(), tmp_path, change(array)).contents["x"] == array.tobytes()


def test_bfloat16_comes_back_from_npy(save, tmp_path):
    path = save(
        [helper.make_node("Cast", ["x"], ["y"], to=FLOAT)], {"x": (TensorProto.BFLOAT16, [3])}, {"y": (FLOAT, [3])}
    )
    array = np.array([1, 2, 3], ml_dtypes.bfloat16)
    assert given_array(path, tmp_path, array).reference["y"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("array", [np.zeros((3, 2), np.float32), np.zeros((2, 3)), np.zeros((2, 3), np.int32)])
def test_an_array_that_does_not_fit_is_refused(relu, tmp_path, array):
    with pytest.raises(UsageError, match=r"--input x=.*takes float32\[2, 3\]") as caught:
        given_array(relu(), tmp_path, array)
    assert caught.value.remedy


def test_a_file_that_is_no_array_is_refused(relu, tmp_path):
    model, file = load_model(relu()), tmp_path / "x.npy"
    with pytest.raises(UsageError, match="no such file"):
        make_inputs(model, 0, {"x": file})
    for content in (b"", b"hello, this is a text"):
        file.write_bytes(content)
        with pytest.raises(UsageError, match=r"no \.npy file"):
            make_inputs(model, 0, {"x": file})
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(UsageError, match="an archive"):
        make_inputs(model, 0, {"x": tmp_path / "x.npz"})
