"""`hwloop ci` as a user meets it: exit codes, files, the baseline; on this machine and on the emulated board."""

import json
import os
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from hwloop.testing.models import perceptron

LIMIT_S = 280
PLAN = """\
checks:
  nets:
    models: [net.onnx]
    devices: [{device}]
    runtimes: [{runtime}]
    seconds: 0.1
    compare_seconds: 2
    budget: {{max_slowdown: 1%, artifact: 10 MB, bundle: 40 MB, peak_activations: 10 MB}}
"""
FLEET = """\
devices:
  box: {transport: local, limits: {settle_s: 0}}
  pi4: {transport: emulated, board: pi4}
  airgapped: {transport: bundle, python: "3.11", target: {triple: aarch64-linux-gnu, cpu: cortex-a72}}
"""


class World:
    """A project with a plan, a model and a store of its own."""

    def __init__(self, folder, device, runtime):
        self.folder = folder
        (folder / "devices.yaml").write_text(FLEET)
        (folder / "hwloop.ci.yaml").write_text(PLAN.format(device=device, runtime=runtime))
        self.model("small")

    def model(self, size):
        perceptron(self.folder / "net.onnx", {"small": [64, 128, 32], "large": [64, 1024, 1024, 32]}[size])

    @property
    def baseline(self):
        return json.loads((self.folder / "hwloop.ci.baseline.json").read_text())["cases"]

    def ci(self, *words, **environment):
        return subprocess.run(
            [sys.executable, "-m", "hwloop", "ci", *words],
            cwd=self.folder,
            env={**os.environ, "HWLOOP_STORE": str(self.folder / "store.sqlite"), **environment},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, "box", "onnxruntime")


def test_a_real_device_compares_with_the_baselines_artifact(world):
    missing = world.ci()
    assert missing.returncode == 1, missing.stderr
    assert "baseline failed: it has no baseline" in missing.stdout

    updated = world.ci("--update-baseline")
    assert updated.returncode == 0, updated.stderr
    assert list(world.baseline) == ["nets: net on box with onnxruntime"]

    same = world.ci("--json")
    assert same.returncode == 0, same.stderr
    (case,) = json.loads(same.stdout)["cases"]
    assert case["result"] == "passed"
    assert {one["what"]: one["status"] for one in case["findings"]} == {
        "outputs": "passed",
        "artifact": "passed",
        "bundle": "passed",
        "peak activations": "passed",
        "baseline": "passed",
    }

    world.model("large")
    slower = world.ci("--junit", "junit.xml")
    assert slower.returncode == 1, slower.stderr
    assert "99% interval" in slower.stdout
    assert ElementTree.parse(world.folder / "junit.xml").getroot().get("failures") == "1"

    shutil.move(world.folder / "store.sqlite", world.folder / "elsewhere")
    unknown = world.ci()
    assert unknown.returncode == 1
    assert "cannot be run again" in unknown.stdout


@pytest.mark.emulated
def test_counts_decide_on_an_emulated_device(tmp_path):
    world = World(tmp_path, "pi4", "tvm")
    updated = world.ci("--update-baseline")
    assert updated.returncode == 0, updated.stderr
    step = tmp_path / "step.md"
    step.write_text("before\n")
    same = world.ci("--fresh", "--summary", "summary.md", GITHUB_STEP_SUMMARY=str(step))
    assert same.returncode == 0, same.stdout
    assert (tmp_path / "summary.md").read_text().startswith("### hwloop: 1 of 1 cases passed")
    assert step.read_text() == "before\n" + (tmp_path / "summary.md").read_text()

    world.model("large")
    slower = world.ci("--junit", "junit.xml")
    assert slower.returncode == 1, slower.stderr
    failure = ElementTree.parse(tmp_path / "junit.xml").getroot().find("testsuite/testcase/failure")
    assert "instructions per call), +1% allowed" in failure.text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none.yaml"], "No such file"),
        (["-d", "pi4"], "the plan has nothing for pi4"),
        (["-d", "pi9"], "there is no device and no tag 'pi9'"),
    ],
)
def test_wrong_usage_ends_with_two(world, words, told):
    ended = world.ci(*words)
    assert ended.returncode == 2
    assert told in ended.stderr


def test_an_unknown_key_is_told_with_its_line_and_what_is_allowed(world):
    plan = world.folder / "hwloop.ci.yaml"
    plan.write_text(plan.read_text().replace("artifact:", "size:"))
    ended = world.ci()
    assert ended.returncode == 2
    assert "line 8: checks.nets.budget.size: unknown key (10 MB)" in ended.stderr
    assert "Known keys: max_slowdown, instructions, median_ms, artifact" in ended.stderr


def test_nobody_carries_jobs_for_it(tmp_path):
    ended = World(tmp_path, "airgapped", "tvm").ci()
    assert ended.returncode == 2
    assert "reached by hand" in ended.stderr
