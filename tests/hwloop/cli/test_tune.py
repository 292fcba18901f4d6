"""`hwloop tune` as a user meets it."""

import json
import os
import subprocess
import sys

import pytest

from hwloop.testing.models import perceptron

LIMIT_S = 240
FLEET = """
devices:
  box: {transport: local}
  pi4: {transport: emulated, board: pi4}
"""


@pytest.fixture
def hwloop(tmp_path):
    (tmp_path / "devices.yaml").write_text(FLEET)
    perceptron(tmp_path / "p.onnx", [64, 64], rows=16)
    own = {"HWLOOP_STORE": str(tmp_path / "store.sqlite"), "HWLOOP_CACHE_DIR": str(tmp_path / "cache")}

    def run(*words):
        command = [sys.executable, "-m", "hwloop", "tune", *words]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    return run


def test_json_tells_of_every_kernel_and_model(hwloop):
    ended = hwloop("p.onnx", "-d", "box", "--json", "--seconds", "100")
    assert ended.returncode in (0, 1), ended.stderr
    found = json.loads(ended.stdout)
    (kernel,) = found["kernels"]
    assert found["device"] == "box" and set(found["models"]) == {"p"}
    assert kernel["rule"] == "matmul" and kernel["share"] == 1 and kernel["best_ms"] <= kernel["rule_ms"]
    assert kernel["source"].startswith("rule") and kernel["tried"] > 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none.onnx", "-d", "box"], "none.onnx"),
        (["p.onnx"], "Name one with -d: box, pi4"),
        (["p.onnx", "-d", "pi4"], "it counts instructions"),
        (["p.onnx", "-d", "box", "--shape", "batch=2"], "no model here has such a dimension"),
    ],
)
def test_what_cannot_be_tuned_is_named(hwloop, words, told):
    ended = hwloop(*words)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert ended.stdout == ""
