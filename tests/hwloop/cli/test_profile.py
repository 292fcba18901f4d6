"""`hwloop profile` as a user meets it."""

import json
import os
import subprocess
import sys

import pytest

from hwloop.testing.models import perceptron

FLEET = """
devices:
  box: {transport: local, runtimes: [onnxruntime]}
  pi4: {transport: emulated, board: pi4, runtimes: [onnxruntime]}
"""


@pytest.fixture
def hwloop(tmp_path):
    (tmp_path / "devices.yaml").write_text(FLEET)
    perceptron(tmp_path / "mlp.onnx", [64, 128, 64], rows=16)

    def run(*words):
        command = [sys.executable, "-m", "hwloop", *words]
        own = {**os.environ, "HWLOOP_STORE": str(tmp_path / "store.sqlite")}
        return subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=240, check=False)

    return run


def test_kernels_are_shown_kept_and_stand_in_the_report(hwloop):
    shown = hwloop("profile", "mlp.onnx", "-d", "box", "--calls", "5")
    assert shown.returncode == 0, shown.stderr
    assert "MatMul" in shown.stdout and "without the profiler" in shown.stdout
    found = json.loads(hwloop("profile", "mlp.onnx", "-d", "box", "--calls", "5", "--json").stdout)
    (one,) = found["profiles"]
    assert (one["model"], one["device"], one["unit"], one["calls"]) == ("mlp", "box", "ms", 5)
    assert found["failures"] == []
    assert json.loads(hwloop("report", "--json").stdout)["profiles"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mlp.onnx"], "this takes one device"),
        (["mlp.onnx", "-d", "pi4"], "takes times, which mean nothing there"),
        (["mlp.onnx", "-d", "box", "-r", "tensorrt"], "there is no runtime 'tensorrt'"),
        (["-d", "box"], "no model is named"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_remedy(hwloop, words, told):
    done = hwloop("profile", *words)
    assert done.returncode == 2 and told in done.stderr
