"""Passes around convolutions: layouts that cancel, batch norms that vanish, roundabout words."""

import numpy as np
import pytest
from onnx import helper

from hwloop.testing.onnx_parity import agree, network

C = 12


def weights(*names: str) -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    return {name: random.standard_normal((C, C, 3, 3), dtype=np.float32) / 8 for name in names}


def conv(source: str, weight: str, target: str):
    return helper.make_node("Conv", [source, weight], [target], pads=[1, 1, 1, 1])


def test_an_image_is_turned_at_the_edges_only(cpu):
    nodes = [conv("x", "v", "a"), helper.make_node("Sigmoid", ["a"], ["s"]), helper.make_node("Mul", ["a", "s"], ["m"])]
    compiled = agree(cpu, network([*nodes, conv("m", "w", "y")], (1, C, 8, 8), weights("v", "w")))
    kernels = [*compiled.scheduled, *compiled.unscheduled]
    assert sum("transpose" in name for name in kernels) == 1  # the input is read as it is, the result is turned


def test_a_batch_norm_goes_into_the_convolution_before_it(cpu):
    norm = {name: np.linspace(0.5, 1.5, C, dtype=np.float32) for name in ("g", "b", "m", "v")}
    nodes = [conv("x", "w", "c"), helper.make_node("BatchNormalization", ["c", "g", "b", "m", "v"], ["y"])]
    compiled = agree(cpu, network(nodes, (1, C, 6, 6), {**weights("w"), **norm}))
    assert not any("multiply" in name for name in compiled.scheduled)


def test_a_batch_norm_elsewhere_stays_right(cpu):
    norm = {name: np.linspace(0.5, 1.5, C, dtype=np.float32) for name in ("g", "b", "m", "v")}
    nodes = [
        conv("x", "w", "c"),
        helper.make_node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]),
        helper.make_node("Add", ["n", "c"], ["y"]),
    ]
    agree(cpu, network(nodes, (1, C, 6, 6), {**weights("w"), **norm}))


@pytest.mark.parametrize("kind", ["Sum", "Concat"])
def test_branches_come_together(cpu, kind):
    extra = {"axis": 1} if kind == "Concat" else {}
    nodes = [conv("x", "v", "a"), conv("x", "w", "b"), helper.make_node(kind, ["a", "b"], ["c"], **extra)]
    nodes.append(helper.make_node("Relu", ["c"], ["y"]))
    agree(cpu, network(nodes, (1, C, 6, 6), weights("v", "w")))


def test_a_resized_image(cpu):
    scales = {"s": np.array([1, 1, 2, 2], np.float32)}
    for mode in ("nearest", "linear"):
        resize = helper.make_node("Resize", ["a", "", "s"], ["r"], mode=mode)
        nodes = [conv("x", "v", "a"), resize, conv("r", "w", "y")]
        agree(cpu, network(nodes, (1, C, 5, 5), {**weights("v", "w"), **scales}))


def test_shuffled_channels(cpu):
    shapes = {"p": np.array([1, 3, C // 3, 6, 6]), "q": np.array([1, C, 6, 6])}
    nodes = [
        conv("x", "v", "a"),
        helper.make_node("Reshape", ["a", "p"], ["b"]),
        helper.make_node("Transpose", ["b"], ["c"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Reshape", ["c", "q"], ["d"]),
        conv("d", "w", "y"),
    ]
    agree(cpu, network(nodes, (1, C, 6, 6), {**weights("v", "w"), **shapes}))


def test_patches_become_rows_of_tokens_without_a_copy(cpu):
    random = np.random.default_rng(3)
    w = random.standard_normal((32, 3, 8, 8), dtype=np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[8, 8]),
        helper.make_node("Reshape", ["c", "n"], ["r"]),
        helper.make_node("Transpose", ["r"], ["y"], perm=[0, 2, 1]),
    ]
    compiled = agree(cpu, network(nodes, (1, 3, 24, 24), {"w": w, "n": np.array([1, 32, 9])}))
    assert list(compiled.scheduled.values()) == ["convolution"]
    assert not any("transpose" in name for name in compiled.unscheduled)
