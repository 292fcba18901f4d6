"""Outputs match as far as their types can tell; the worst of what differs is named."""

from dataclasses import dataclass

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from hwloop.exporter.compare import TOLERANCES, compare, decode_outputs

shapes = nps.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
anything = st.sampled_from(
    ["float16", "float32", "float64", "int8", "uint8", "int32", "int64", "uint64", "bool"]
).flatmap(lambda kind: nps.arrays(kind, shapes))
moderate = nps.arrays(
    "float32", nps.array_shapes(max_side=5), elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
)


@dataclass
class Returned:
    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


@given(anything)
def test_equal_outputs_match_whatever_they_hold(array):
    comparison = compare({"y": array}, {"y": array.copy()})
    assert comparison.match and comparison.max_abs_err == 0 and not comparison.message


@given(anything)
def test_what_was_sent_as_bytes_comes_back(array):
    returned = Returned("y", str(array.dtype), array.shape, array.tobytes())
    assert compare({"y": array}, decode_outputs([returned])).match


@given(moderate, st.integers(0))
def test_one_value_beyond_the_tolerance_never_matches(array, place):
    relative, share = TOLERANCES["float32"]
    largest = float(np.abs(array).max())
    assume(largest > 1e-3)
    changed = array.astype(np.float64)
    index = np.unravel_index(place % array.size, array.shape)
    changed[index] += 2 * (relative * abs(changed[index]) + share * largest)
    comparison = compare({"y": array}, {"y": changed.astype(np.float32)})
    assert not comparison.match and "'y': 1 of" in comparison.message


@given(moderate)
def test_rounding_within_the_tolerance_matches(array):
    noisy = (array.astype(np.float64) * (1 + 5e-4)).astype(np.float32)
    assert compare({"y": array}, {"y": noisy}).match


@pytest.mark.parametrize(("kind", "error"), [("float16", 5e-3), (ml_dtypes.bfloat16, 2e-2)])
def test_short_floats_may_differ_by_more(kind, error):
    right = np.linspace(1, 2, 9, dtype=np.float32)
    got = (right * (1 + error)).astype(kind)
    assert compare({"y": right.astype(kind)}, {"y": got}).match
    assert not compare({"y": right}, {"y": got.astype(np.float32)}).match


def test_the_largest_error_is_reported_even_where_it_is_allowed():
    right = np.array([1000.0, 1.0], np.float32)
    assert compare({"y": right}, {"y": right + np.float32(0.5)}).max_abs_err == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_quantized_values_may_be_one_step_off(kind):
    right = np.array([1, 2, 3], kind)
    assert compare({"y": right}, {"y": right + np.array([1, 0, 0], kind)}).match
    assert not compare({"y": right}, {"y": right + np.array([2, 0, 0], kind)}).match


@pytest.mark.parametrize("kind", ["int32", "int64", "uint64"])
def test_other_integers_must_be_equal(kind):
    right = np.array([2**31 - 2, 7], kind)
    comparison = compare({"y": right}, {"y": right + np.array([0, 1], kind)})
    assert not comparison.match and comparison.max_abs_err == 1


def test_integers_beyond_a_doubles_precision_are_told_apart():
    right = np.array([2**62], np.int64)
    assert not compare({"y": right}, {"y": right + 1}).match


def test_nan_and_infinities_match_only_their_like():
    right = np.array([np.nan, np.inf, -np.inf, 1], np.float32)
    assert compare({"y": right}, {"y": right.copy()}).match
    for place in range(4):
        for other in (np.nan, np.inf, -np.inf, 1):
            got = right.copy()
            got[place] = other
            same = np.array_equal(got, right, equal_nan=True)
            assert compare({"y": right}, {"y": got}).match is same


def test_a_missing_output_is_named():
    comparison = compare({"a": np.zeros(1), "b": np.zeros(1)}, {"a": np.zeros(1)})
    assert not comparison.match and comparison.message == "output 'b' is missing"


@pytest.mark.parametrize("got", [np.zeros((3, 2), np.float32), np.zeros((2, 3))])
def test_another_shape_or_type_is_no_match(got):
    comparison = compare({"y": np.zeros((2, 3), np.float32)}, {"y": got})
    assert not comparison.match and comparison.max_abs_err is None
    assert "not float32[2, 3]" in comparison.message


def test_nothing_matches_where_there_is_no_reference():
    comparison = compare({}, {"y": np.zeros(3)})
    assert not comparison.match and "no reference" in comparison.message


def test_bytes_that_do_not_fill_the_shape_are_no_match():
    got = decode_outputs([Returned("y", "float32", (2, 3), bytes(20))])
    assert not compare({"y": np.zeros((2, 3), np.float32)}, got).match


def test_bfloat16_is_decoded():
    array = np.array([1.5, -2], ml_dtypes.bfloat16)
    got = decode_outputs([Returned("y", "bfloat16", (2,), array.tobytes())])
    assert compare({"y": array}, got).match
