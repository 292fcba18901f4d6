"""Convolutions and pooling: equal to ONNX Runtime's for every geometry, in one kernel with what follows."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import helper
from tvm.relax.frontend.onnx import from_onnx

from hwloop.testing.onnx_parity import agree, network

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def convolution(shape: tuple[int, ...], weight: tuple[int, ...], **attributes: Any) -> onnx.ModelProto:
    """Return one convolution with a bias."""
    random = np.random.default_rng(1)
    weights = {"w": random.standard_normal(weight, dtype=np.float32), "b": random.standard_normal(weight[0])}
    weights["b"] = weights["b"].astype(np.float32)
    return network([helper.make_node("Conv", ["x", "w", "b"], ["y"], **attributes)], shape, weights)


CASES = {
    "3x3": ((1, 8, 10, 9), (20, 8, 3, 3), {"pads": [1, 1, 1, 1]}),
    "3x3 with as many channels as places": ((1, 3, 10, 9), (20, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    "strided": ((2, 16, 15, 15), (40, 16, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "first layer": ((1, 3, 33, 31), (16, 3, 7, 7), {"pads": [3, 3, 3, 3], "strides": [2, 2]}),
    "dilated": ((1, 5, 17, 14), (7, 5, 3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
    "uneven padding": ((1, 4, 8, 8), (9, 4, 4, 2), {"pads": [0, 1, 3, 0]}),
    "grouped": ((1, 24, 9, 9), (36, 8, 3, 3), {"pads": [1, 1, 1, 1], "group": 3}),
    "patches": ((1, 3, 32, 48), (24, 3, 16, 16), {"strides": [16, 16]}),
    "patches of channels": ((1, 16, 8, 8), (24, 16, 2, 2), {"strides": [2, 2]}),
    "1x1 strided": ((1, 16, 9, 9), (33, 16, 1, 1), {"strides": [2, 2]}),
    "window larger than the image": ((1, 6, 2, 2), (8, 6, 5, 5), {"pads": [2, 2, 2, 2]}),
    "line": ((1, 8, 21), (12, 8, 3), {"pads": [1, 1], "strides": [2]}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_convolution(each_cpu, case):
    shape, weight, attributes = CASES[case]
    compiled = agree(each_cpu, convolution(shape, weight, **attributes))
    assert "convolution" in compiled.scheduled.values()


@pytest.mark.parametrize("case", CASES)
def test_it_builds_for_another_architecture(pi4, case):
    shape, weight, attributes = CASES[case]
    compiled = pi4.build(from_onnx(convolution(shape, weight, **attributes), keep_params_in_input=False))
    assert "convolution" in compiled.scheduled.values()


def test_a_1x1_convolution_is_a_product(each_cpu):
    compiled = agree(each_cpu, convolution((1, 24, 7, 5), (40, 24, 1, 1)))
    assert "matmul" in compiled.scheduled.values()


@pytest.mark.parametrize("channels", [3, 8, 16, 40])
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_convolutions(each_cpu, channels, stride):
    attributes = {"pads": [2, 2, 2, 2], "strides": [stride, stride], "group": channels}
    compiled = agree(each_cpu, convolution((1, channels, 11, 13), (channels, 1, 5, 5), **attributes))
    assert "channelwise" in compiled.scheduled.values()


@few
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 40)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.lists(st.integers(0, 2), min_size=4, max_size=4),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 3),
)
def test_any_geometry(cpu, channels, size, kernel, pads, strides, dilation):
    spans = [size[axis] + pads[axis] + pads[axis + 2] - (kernel[axis] - 1) * dilation for axis in (0, 1)]
    assume(min(spans) > 0)
    attributes = {"pads": pads, "strides": strides, "dilations": [dilation, dilation]}
    agree(cpu, convolution((1, channels[0], *size), (channels[1], channels[0], *kernel), **attributes))


def test_cores_share_rows_or_panels(cpu):
    agree(cpu.on(3), convolution((1, 64, 14, 14), (64, 64, 3, 3), pads=[1, 1, 1, 1]))
    agree(cpu.on(3), convolution((1, 512, 2, 2), (256, 512, 3, 3), pads=[1, 1, 1, 1]))


def test_bias_clip_and_residual_are_part_of_the_convolution(each_cpu):
    w = np.random.default_rng(1).standard_normal((16, 16, 3, 3), dtype=np.float32) / 8
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["c", "low", "high"], ["k"]),
        helper.make_node("Add", ["k", "x"], ["y"]),
    ]
    constants = {"w": w, "b": w[:, 0, 0, 0], "low": np.float32(0), "high": np.float32(6)}
    compiled = agree(each_cpu, network(nodes, (1, 16, 9, 9), {name: np.asarray(c) for name, c in constants.items()}))
    assert list(compiled.scheduled.values()).count("convolution") == 1
    assert not [name for name in compiled.unscheduled if "add" in name and "transpose" not in name]


@pytest.mark.parametrize("included", [0, 1])
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_pooling_between_convolutions(each_cpu, kind, included):
    random = np.random.default_rng(1)
    weights = {name: random.standard_normal((20, 20, 1, 1), dtype=np.float32) for name in ("v", "w")}
    extra = {"count_include_pad": included} if kind == "AveragePool" else {}
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["c"]),
        helper.make_node(kind, ["c"], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], **extra),
        helper.make_node("Conv", ["p", "w"], ["y"]),
    ]
    compiled = agree(each_cpu, network(nodes, (1, 20, 12, 12), weights))
    assert "channelwise" in compiled.scheduled.values()


def test_the_mean_of_an_image(each_cpu):
    w = np.random.default_rng(1).standard_normal((20, 3, 3, 3), dtype=np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("GlobalAveragePool", ["c"], ["y"])]
    compiled = agree(each_cpu, network(nodes, (2, 3, 12, 11), {"w": w}))
    assert sorted(compiled.scheduled.values()) == ["channelwise", "convolution"]
