"""What holds for every graph."""

import tempfile
from functools import cache
from pathlib import Path

import onnx
import onnx.backend.test
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hwloop.exporter.kernels import kernels_of
from hwloop.testing.networks.bert import bert
from hwloop.testing.networks.hat_encoder import hat_encoder
from hwloop.testing.networks.vit import vit

MLP = """
    <ir_version: 10, opset_import: ["" : 18]>
    g (float[batch,{k}] x, float[{k},{m}] w, float[{m}] b, float[{m},{n}] v) => (float[batch,{n}] y) {{
        p = MatMul(x, w)  q = Add(p, b)  a = Relu(q)  z = MatMul(a, v)  y = Softmax(z)
    }}"""
STORED = sorted(Path(onnx.backend.test.__file__).parent.glob("data/**/model.onnx"))
sizes = st.integers(1, 64)


@settings(deadline=None, max_examples=40)
@given(sizes, sizes, sizes, st.integers(1, 32))
@example(1, 1, 1, 2)  # a single number is no scale, whatever it is
def test_work_grows_with_the_batch_and_weights_do_not(k, m, n, batch):
    model = onnx.parser.parse_model(MLP.format(k=k, m=m, n=n))
    weights = {"w": (k, m), "b": (m,), "v": (m, n)}
    for name, dims in weights.items():
        model.graph.initializer.add(name=name, data_type=onnx.TensorProto.FLOAT, dims=dims)
    for one, many in zip(kernels_of(model, {"batch": 1}), kernels_of(model, {"batch": batch}), strict=True):
        assert (many.macs, many.element_operations) == (batch * one.macs, batch * one.element_operations)
        assert (many.read_bytes, many.written_bytes) == (batch * one.read_bytes, batch * one.written_bytes)
        assert many.weight_bytes == one.weight_bytes


@cache
def small(write):
    with tempfile.TemporaryDirectory() as folder:
        return onnx.load(write(Path(folder) / "m.onnx"))


def small_vit(path):
    return vit(path, width=32, heads=2, depth=2, size=32)


def small_bert(path):
    return bert(path, tokens=8, width=32, heads=2, depth=2)


def small_hat(path):
    return hat_encoder(path, width=32, tokens=6, layers=((2, 64), (1, 32)), head=16)


@settings(deadline=None, max_examples=12)
@given(st.sampled_from([small_vit, small_bert, small_hat]), st.randoms(use_true_random=False))
def test_names_mean_nothing(write, random):
    model = onnx.ModelProto()
    model.CopyFrom(small(write))
    before = kernels_of(model, {})
    names = {name for node in model.graph.node for name in (*node.input, *node.output) if name}
    fresh = random.sample(range(10 * len(names)), len(names))
    renamed = {name: f"v{number}" for name, number in zip(sorted(names), fresh, strict=True)}
    for node in model.graph.node:
        node.name = f"n{random.random()}"
        node.input[:] = [renamed.get(name, "") for name in node.input]
        node.output[:] = [renamed.get(name, "") for name in node.output]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer, *model.graph.value_info):
        value.name = renamed.get(value.name, value.name)
    assert kernels_of(model, {}) == before


@pytest.mark.parametrize("write", [small_vit, small_bert, small_hat])
def test_what_is_read_was_written_by_an_earlier_kernel_or_given(write):
    """Kernels stand in an order in which they can run, and each node is in one of them at most."""
    from hwloop.exporter.kernels import cut
    from hwloop.exporter.kernels.describing import values_read, values_written

    found = cut(small(write), {})
    there = set(found.uses.graph.inputs)
    for group in found.groups:
        assert set(values_read(found.uses, group)) <= there
        there |= set(values_written(found.uses, group))
    assert found.uses.results <= there
    assert sum(kernel.nodes for kernel in found.kernels) <= len(small(write).graph.node)


def test_the_models_that_onnx_is_tested_with_are_all_told():
    assert len(STORED) > 100
    for path in STORED:
        for kernel in kernels_of(onnx.load(path), {}):
            sizes = (kernel.macs, kernel.element_operations, kernel.weight_bytes, kernel.read_bytes)
            assert min(sizes) >= 0, path
