"""Embeddings as rows of whole numbers: how close they stay, what they take, and that both runtimes read them."""

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from hwloop.exporter.costs import costs_of
from hwloop.exporter.quantize.calibrate import calibrate
from hwloop.exporter.quantize.layers import layers_of
from hwloop.exporter.quantize.quantize import quantize
from hwloop.exporter.quantize.verify import scheme_of
from hwloop.records import QuantPolicy, Scheme

SCHEMES = [Scheme.INT8_STATIC, Scheme.INT8_DYNAMIC, Scheme.INT4_WEIGHT]
QUANTIZED = pytest.mark.parametrize("scheme", SCHEMES)
ROWS, BITS = 300, {Scheme.INT8_STATIC: 8, Scheme.INT8_DYNAMIC: 8, Scheme.INT4_WEIGHT: 4}


def lookup(net, columns=48, readers=1):
    """Return a table of vectors, `words`, that is looked up at the whole numbers in `x`."""
    graph = net([2, 7])
    table = graph.draw("words.weight", ROWS, columns, scale=0.5)
    places = graph.op("Cast", "x", to=TensorProto.INT64)
    names = ["words", *(f"again.{number}" for number in range(1, readers))]
    return graph.model(*(graph.op("Gather", table, places, name=name, axis=0) for name in names))


def places() -> np.ndarray:
    return np.random.default_rng(1).integers(0, ROWS, [2, 7]).astype(np.float32)


def table_of(model: onnx.ModelProto) -> np.ndarray:
    return onnx.numpy_helper.to_array(model.graph.initializer[0])


@QUANTIZED
@pytest.mark.parametrize("columns", [48, 7])
def test_a_vector_is_within_half_a_step_of_what_it_was(net, run, scheme, columns):
    model = lookup(net, columns)
    found = run(quantize(model, QuantPolicy({"words": scheme})), places())
    table, rows = table_of(model), places().astype(int)
    reach = {
        Scheme.INT8_STATIC: np.broadcast_to(np.abs(table).max(axis=0) / 127, table.shape)[rows],
        Scheme.INT8_DYNAMIC: (np.abs(table).max(axis=1, keepdims=True) / 127)[rows],
        Scheme.INT4_WEIGHT: (np.ptp(np.pad(table, [(0, 0), (0, 1)]), axis=1, keepdims=True) / 15)[rows],
    }[scheme]
    half = 0.5 if scheme is not Scheme.INT4_WEIGHT else 1  # its zero point is a whole number, too
    assert found.shape == (2, 7, columns)
    assert (np.abs(found - table[rows]) <= half * reach + 1e-6).all()


@QUANTIZED
def test_the_scheme_is_read_back_and_the_floats_are_gone(net, scheme):
    quantized = quantize(lookup(net), QuantPolicy({"*": scheme}))
    assert scheme_of(quantized) == {"words": scheme}
    floats = [one for one in quantized.graph.initializer if one.data_type == TensorProto.FLOAT]
    assert max(np.prod(one.dims) for one in floats) <= ROWS


@QUANTIZED
def test_a_table_takes_its_bits_and_a_share_of_scales(net, scheme):
    model = lookup(net, 128)
    weights = [costs_of(one, {}).weight_bytes for one in (model, quantize(model, QuantPolicy({"words": scheme})))]
    assert BITS[scheme] / 32 <= weights[1] / weights[0] < (BITS[scheme] + 1) / 32


@QUANTIZED
def test_its_numbers_are_counted_as_before(net, scheme):
    model = lookup(net)
    assert costs_of(quantize(model, QuantPolicy({"words": scheme})), {}).parameters == ROWS * 48


@QUANTIZED
def test_no_range_is_needed(net, scheme, batches):
    model = lookup(net)
    assert calibrate(model, [{"x": places()}]).layers == {}
    quantize(model, QuantPolicy({"*": scheme}))


def test_what_is_no_table_of_vectors_is_no_layer(net):
    graph = net([3, 4])
    rows = graph.op("Cast", graph.op("ReduceMax", "x", keepdims=0), to=TensorProto.INT64)
    known = graph.constant("known", np.array([1]))
    graph.op("Gather", graph.draw("steps", 9, 1, scale=1), rows, axis=0)  # a number each
    graph.op("Gather", graph.draw("turned", 9, 5, scale=1), rows, axis=1)
    graph.op("Gather", graph.draw("block", 9, 5, 2, scale=1), rows, axis=0)
    graph.op("Gather", graph.draw("fixed", 9, 5, scale=1), known, axis=0)
    graph.op("Gather", "x", rows, axis=0)
    assert layers_of(graph.model(graph.nodes[-1].output[0])) == []
    assert layers_of(lookup(net, readers=2)) == [], "it stays in memory as floats for the other reader"


def test_a_table_of_bytes_that_is_no_vectors_is_none_either(net):
    graph = net([2, 7])
    flags = graph.constant("flags", np.zeros([ROWS, 4], np.uint8))
    looked_up = graph.op("Gather", flags, graph.op("Cast", "x", to=TensorProto.INT64), axis=0)
    assert scheme_of(graph.model(graph.op("Not", graph.op("Equal", looked_up, looked_up)))) == {}


@QUANTIZED
def test_tvm_looks_up_the_same_vectors(net, run, by_tvm, scheme):
    quantized = quantize(lookup(net), QuantPolicy({"words": scheme}))
    assert np.allclose(by_tvm(quantized, places()), run(quantized, places()), atol=1e-6)


def test_a_layer_behind_a_table_has_its_own_scheme(net, run):
    graph = net([2, 7])
    looked_up = graph.op(
        "Gather",
        graph.draw("words.weight", ROWS, 48, scale=0.5),
        graph.op("Cast", "x", to=TensorProto.INT64),
        name="words",
    )
    model = graph.model(graph.linear("fc", looked_up, 48, 32))
    ranges = calibrate(model, [{"x": places()}])
    for table in SCHEMES:
        for scheme in SCHEMES:
            quantized = quantize(model, QuantPolicy({"words": table, "fc": scheme}), ranges)
            assert scheme_of(quantized) == {"words": table, "fc": scheme}
            found, wanted = run(quantized, places()), run(model, places())
            assert np.linalg.norm(found - wanted) / np.linalg.norm(wanted) < 0.2
            names = Counter(node.name for node in quantized.graph.node)
            assert max(names.values()) == 1
