"""Calibration: what feeds and leaves each layer, on the data; ranges by layer, kept in a file."""

import json

import numpy as np
import pytest
from onnx import helper

from hwloop.errors import UsageError
from hwloop.exporter.quantize.calibrate import CalibrationMethod, calibrate
from hwloop.exporter.quantize.ranges import LayerRange, Ranges


def test_a_range_is_of_what_feeds_and_what_leaves_a_layer(net, run):
    graph = net([4, 16])
    graph.op("Relu", graph.linear("fc", "x", 16, 8), result="y")
    model = graph.model("y")
    seen = [{"x": np.random.default_rng(seed).standard_normal((4, 16), dtype=np.float32)} for seed in range(3)]
    everything = np.stack([batch["x"] for batch in seen])
    results = np.stack([run(model, batch["x"]) for batch in seen])
    found = calibrate(model, seen).of("fc")
    assert found.input == (everything.min(), everything.max())
    assert found.output == pytest.approx((0, results.max()))


@pytest.mark.parametrize("method", list(CalibrationMethod))
def test_every_layer_has_a_range_that_min_max_holds(encoder, batches, method):
    widest = calibrate(encoder, batches(encoder))
    found = calibrate(encoder, batches(encoder), method)
    assert found.layers.keys() == widest.layers.keys() and len(found.layers) == 7
    for name, span in found.layers.items():
        outer = widest.layers[name]
        assert outer.input[0] <= span.input[0] <= span.input[1] <= outer.input[1]
        assert outer.output[0] <= span.output[0] <= span.output[1] <= outer.output[1]


def test_ranges_say_what_they_were_found_on(encoder, batches):
    one, other = calibrate(encoder, batches(encoder, 1)), calibrate(encoder, batches(encoder, 2))
    assert one.method == "min-max" and one.model_digest == other.model_digest != ""
    assert one.data_digest != other.data_digest
    assert one == calibrate(encoder, batches(encoder, 1))


def test_batches_may_come_from_a_generator(encoder, batches):
    assert calibrate(encoder, (batch for batch in batches(encoder))) == calibrate(encoder, batches(encoder))


# ── bad input ──


def test_an_unknown_method_is_told(encoder, batches):
    with pytest.raises(UsageError, match="no method 'mse'") as problem:
        calibrate(encoder, batches(encoder), "mse")
    assert "min-max, percentile, entropy" in problem.value.remedy


def test_no_data_is_told(encoder):
    with pytest.raises(UsageError, match="there is no batch"):
        calibrate(encoder, [])


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({}, "batch 1: it has nothing, and the model takes x"),
        ({"y": np.zeros((1, 9, 64), np.float32)}, "batch 1: it has y, and the model takes x"),
        ({"x": np.zeros((1, 9, 32), np.float32)}, r"'x' is float32\[1, 9, 32\], and the model takes float\[1, 9, 64\]"),
        ({"x": np.zeros((9, 64), np.float32)}, r"'x' is float32\[9, 64\]"),
        ({"x": np.zeros((1, 9, 64))}, r"'x' is float64\[1, 9, 64\]"),
        ({"x": np.full((1, 9, 64), np.nan, np.float32)}, r"layer encoder\.0\.attn\.q: .* is NaN or infinite"),
    ],
)
def test_a_batch_that_does_not_fit_is_told(encoder, batch, words):
    with pytest.raises(UsageError, match=words):
        calibrate(encoder, [batch])


def test_what_the_model_itself_refuses_is_told(net):
    graph = net([4, "columns"])
    graph.linear("fc", "x", 16, 8)
    with pytest.raises(UsageError, match="batch 1: the model does not run on it"):
        calibrate(graph.model("t1"), [{"x": np.zeros((4, 3), np.float32)}])


# ── the file ──


def test_ranges_come_back_from_their_file(tmp_path):
    ranges = Ranges({"fc": LayerRange((-1.5, 2.25), (0.0, 7.0))}, "entropy", "m", "d")
    assert Ranges.load(ranges.save(tmp_path / "ranges.json")) == ranges
    assert json.loads((tmp_path / "ranges.json").read_text())["schema"] == 1


def test_calibrations_of_alternatives_are_put_together():
    one = Ranges({"patch.16": LayerRange((0, 1), (0, 1)), "fc": LayerRange((0, 2), (0, 2))}, "min-max", "a", "d")
    other = Ranges({"patch.32": LayerRange((0, 3), (0, 3)), "fc": LayerRange((0, 4), (0, 4))}, "min-max", "b", "d")
    both = one.including(other)
    assert {name: both.of(name).input[1] for name in both.layers} == {"patch.16": 1, "fc": 2, "patch.32": 3}
    assert both.method == "min-max" and both.model_digest not in ("a", "b", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no saved ranges"),
        ("[]", "no saved ranges of schema 1"),
        ('{"schema": 2, "layers": {}}', "no saved ranges of schema 1"),
        ('{"schema": 1, "layers": {"fc": {"input": [0, 1]}}}', "layer fc: output is None"),
        ('{"schema": 1, "layers": {"fc": {"input": [2, 1], "output": [0, 1]}}}', r"layer fc: input is \[2, 1\]"),
        ('{"schema": 1, "layers": {"fc": {"input": [NaN, 1], "output": [0, 1]}}}', "layer fc: input is"),
        ('{"schema": 1, "layers": {"fc": {"input": ["0", 1], "output": [0, 1]}}}', "layer fc: input is"),
    ],
)
def test_a_file_that_holds_no_ranges_is_told(tmp_path, text, words):
    path = tmp_path / "ranges.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        Ranges.load(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UsageError, match="no saved ranges"):
        Ranges.load(tmp_path / "none.json")


def test_a_tensor_that_is_integer_is_never_a_layers(net, batches):
    graph = net([2, 4])
    rounded = graph.op("Cast", "x", to=7)
    number = graph.op("Cast", rounded, to=helper.TensorProto.FLOAT)
    model = graph.model(graph.linear("fc", number, 4, 4))
    assert calibrate(model, batches(model)).layers.keys() == {"fc"}
