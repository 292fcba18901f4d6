"""The arithmetic: what was quantized comes back within half a step, in every channel and block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hwloop.exporter.quantize import arithmetic

HALF = 0.5 * (1 + 1e-5)
NUMBERS = st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=True)
WEIGHTS = arrays(np.float32, array_shapes(min_dims=2, max_dims=4, max_side=9), elements=NUMBERS)


@given(WEIGHTS, st.data())
def test_a_channel_comes_back_within_half_a_step(weight, data):
    axis = data.draw(st.integers(0, weight.ndim - 1))
    numbers, scale = arithmetic.quantize_channels(weight, axis)
    shape = [-1 if place == axis else 1 for place in range(weight.ndim)]
    back = numbers * scale.astype(np.float64).reshape(shape)
    assert numbers.dtype == np.int8 and scale.shape == (weight.shape[axis],)
    assert (np.abs(back - weight) <= HALF * scale.reshape(shape)).all()
    assert (numbers >= -127).all() and (scale > 0).all()


@given(WEIGHTS, st.data(), st.sampled_from([16, 32]))
def test_a_block_comes_back_within_half_a_step(weight, data, block_size):
    axis = data.draw(st.integers(0, weight.ndim - 1))
    numbers, scale, zero = arithmetic.quantize_blocks(weight, axis, block_size)
    assert scale.shape[axis] == zero.shape[axis] == -(-weight.shape[axis] // block_size)
    assert numbers.shape == weight.shape and numbers.max() <= 15 and zero.max() <= 15
    steps, origins = (np.repeat(part, block_size, axis).take(range(weight.shape[axis]), axis) for part in (scale, zero))
    back = (numbers.astype(np.float64) - origins) * steps
    assert (np.abs(back - weight) <= HALF * steps).all()


@pytest.mark.parametrize("depth", [31, 32, 33, 64, 70])
def test_a_block_knows_nothing_of_its_neighbours(depth):
    weight = np.random.default_rng(depth).standard_normal((depth, 3), dtype=np.float32)
    weight[32:] *= 1000
    _, scale, _ = arithmetic.quantize_blocks(weight, 0, 32)
    _, first, _ = arithmetic.quantize_blocks(weight[:32], 0, 32)
    np.testing.assert_array_equal(scale[:1], first)


@given(arrays(np.uint8, array_shapes(max_dims=3), elements=st.integers(0, 15)))
def test_nibbles_are_packed_as_onnx_unpacks_them(numbers):
    from onnx import TensorProto, numpy_helper

    packed = arithmetic.pack_nibbles(numbers)
    tensor = TensorProto(data_type=TensorProto.UINT4, dims=numbers.shape, raw_data=packed)
    np.testing.assert_array_equal(numpy_helper.to_array(tensor).astype(np.uint8), numbers)
    assert len(packed) == -(-numbers.size // 2)


@given(NUMBERS, NUMBERS)
@settings(max_examples=300)
def test_a_range_is_covered_and_zero_is_exact(one, other):
    low, high = min(one, other), max(one, other)
    scale, zero = arithmetic.activation_parameters(low, high)
    bottom, top = (float(scale) * (end - int(zero)) for end in (0, 255))
    assert scale > 0 and 0 <= zero <= 255
    assert bottom <= min(low, 0) + HALF * scale and top >= max(high, 0) - HALF * scale


def test_a_bias_that_would_not_fit_beside_its_sums_widens_the_scale():
    weight, bias = np.zeros((4, 2), np.float32), np.array([1e6, 0], np.float32)
    weight[:, 0] = 1e-9
    scale_in = np.float32(0.01)
    _, scale = arithmetic.quantize_channels(weight, 1, arithmetic.least_scale(bias, scale_in))
    whole = arithmetic.quantize_bias(bias, scale_in * scale)
    np.testing.assert_allclose(whole * (scale_in * scale).astype(np.float64), bias, rtol=1e-6)
    assert whole.max() <= 2**30
