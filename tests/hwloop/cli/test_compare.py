"""`hwloop compare` as a user meets it: words, JSON and exit codes of the real command."""

import json
import os
import subprocess
import sys

import pytest

from hwloop.testing.models import perceptron

LIMIT_S = 120


@pytest.fixture
def world(tmp_path):
    (tmp_path / "devices.yaml").write_text("devices:\n  box: {transport: local}\n")
    perceptron(tmp_path / "small.onnx")
    perceptron(tmp_path / "large.onnx", [64, 1024, 1024, 32])

    def hwloop(*words):
        environment = {**os.environ, "HWLOOP_STORE": str(tmp_path / "store.sqlite")}
        command = [sys.executable, "-m", "hwloop", "compare", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    return hwloop


def test_a_regression_is_said_in_words_and_by_the_exit_code(world):
    ended = world("small.onnx", "large.onnx", "--seconds", "2")
    assert ended.returncode == 1, ended.stderr
    assert "B is slower" in ended.stdout
    assert "This is a regression" in ended.stdout


def test_what_is_faster_ends_with_zero(world):
    ended = world("large.onnx", "small.onnx", "--seconds", "2")
    assert ended.returncode == 0, ended.stderr
    assert "B is faster" in ended.stdout


def test_a_slowdown_that_is_allowed_is_no_regression(world):
    ended = world("small.onnx", "large.onnx", "--seconds", "2", "--max-slowdown", "100000%")
    assert ended.returncode == 0, ended.stderr
    assert "Not shown to be beyond" in ended.stdout


def test_json_has_the_ratio_with_its_interval_and_the_floor(world):
    ended = world("small.onnx", "large.onnx", "--seconds", "2", "--json")
    item = json.loads(ended.stdout)
    low, high = item["ci99"]
    assert 1 < low <= item["ratio"] <= high
    assert item["verdict"] == "slower" and item["regression"] is True
    assert item["noise_floor_percent"] > 0
    assert item["a"]["median_ms"] < item["b"]["median_ms"]
    assert item["device"] == "box" and item["reasons"] == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["small.onnx", "none.onnx"], "none.onnx"),
        (["small.onnx", "0123"], "'0123' is no file"),
        (["small.onnx", "small.onnx", "-r", "tflite"], "there is no runtime 'tflite'"),
        (["small.onnx", "small.onnx", "-d", "pi5"], "'pi5'"),
        (["small.onnx", "small.onnx", "--max-slowdown", "much"], "this is no percentage"),
        (["small.onnx", "small.onnx", "--shape", "batch=2"], "no model here has such a dimension"),
    ],
)
def test_what_cannot_be_compared_is_named(world, words, told):
    ended = world(*words)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert ended.stdout == ""
