"""`hwloop export -o` and `hwloop verify`: words, JSON and exit codes."""

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwloop.artifacts import ArtifactArchive
from hwloop.bundle.sourcing import place_of
from hwloop.cli import app
from hwloop.cli.output import error_lines
from hwloop.deadline import Deadline
from hwloop.devices.fleet import load_fleet
from hwloop.errors import UsageError
from hwloop.exporter.runtimes.tvm import VERSION, Tvm
from hwloop.measure.workload import load_workloads
from hwloop.paths import cache_dir
from hwloop.records import Summary, Verdict
from hwloop.store import Store
from hwloop.testing.models import perceptron
from hwloop.testing.records import a_subject
from hwloop.testing.sshd import make_key

LIMIT_S = 280


class World:
    """A folder with a model, a fleet of this machine, and caches of its own but for the wheels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.cache.mkdir()
        (self.cache / "wheels").symlink_to(cache_dir() / "wheels")
        (folder / "devices.yaml").write_text(
            f"devices:\n  box: {{transport: local, cache_dir: {folder}/device}}\n"
            f"  plain: {{transport: local, cache_dir: {folder}/plain, runtimes: [onnxruntime]}}\n"
        )
        self.model = perceptron(folder / "model.onnx")
        self.store = folder / "store.sqlite"

    def hwloop(self, *words: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"HWLOOP_STORE": str(self.store), "HWLOOP_CACHE_DIR": str(self.cache)}
        environment.pop("HWLOOP_DEVICES", None)
        command = [sys.executable, "-m", "hwloop", *map(str, words)]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def signed(world):
    """The JSON item of a signed bundle."""
    make_key(world.folder / "release")
    ended = world.hwloop("export", "model.onnx", "-d", "box", "-o", "signed.zip", "--sign", "release", "--json")
    assert ended.returncode == 0, ended.stderr
    (item,) = json.loads(ended.stdout)
    return item


def test_what_export_says(world, signed):
    assert signed["bundle"] == "signed.zip"
    assert signed["bytes"] == (world.folder / "signed.zip").stat().st_size
    assert signed["manifest"]["runtime"]["name"] == "tvm"
    assert signed["manifest"]["latency"] is None
    assert "files" not in signed["manifest"]


def test_verify_here_and_on_a_device(world, signed):
    here = world.hwloop("verify", "signed.zip")
    assert (here.returncode, here.stdout[:16]) == (0, "good: signed.zip"), here.stderr
    assert "by whom was not asked (--key)" in here.stdout
    there = world.hwloop("verify", "signed.zip", "-d", "box", "--key", "release.pub", "--json")
    assert there.returncode == 0, there.stderr
    item = json.loads(there.stdout)
    assert (item["verdict"], item["device"], item["signed_by"]) == ("good", "box", "release.pub")
    assert item["artifact"] == signed["manifest"]["artifact"]


def test_a_wrong_key_ends_with_2(world, signed):
    make_key(world.folder / "other")
    ended = world.hwloop("verify", "signed.zip", "--key", "other.pub")
    assert ended.returncode == 2
    assert "signed.zip: the signature is not by other.pub" in ended.stderr


def test_a_damaged_archive_ends_with_2(world, signed):
    data = bytearray((world.folder / "signed.zip").read_bytes())
    data[len(data) // 2] ^= 1
    (world.folder / "damaged.zip").write_bytes(data)
    ended = world.hwloop("verify", "damaged.zip")
    assert ended.returncode == 2
    assert "damaged.zip: the archive is damaged or truncated" in ended.stderr


def test_a_bundle_for_a_target_that_nobody_asks(world):
    """It is this machine's, whose wheels are here already."""
    machine, glibc = platform.machine(), os.confstr("CS_GNU_LIBC_VERSION").split()[1]
    words = ["--target", f"{machine}-linux-gnu", "--feature", "+neon" if machine == "aarch64" else "+sse4.2"]
    ended = world.hwloop("export", "model.onnx", *words, "--glibc", glibc, "-o", "bare")
    assert ended.returncode == 0, ended.stderr
    target = json.loads((world.folder / "bare" / "manifest.json").read_text())["target"]
    assert (target["machine"], target["features"]) == (machine, [words[-1]])
    assert target["glibc"] <= [2, 28]
    assert world.hwloop("verify", "bare").returncode == 0


def test_several_models_become_a_folder_of_bundles(world):
    shutil.copyfile(world.model, world.folder / "second.onnx")
    refused = world.hwloop("export", "model.onnx", "second.onnx", "-d", "box", "-o", "both.zip")
    assert refused.returncode == 2
    assert "it takes one model, and here are 2" in refused.stderr
    ended = world.hwloop("export", "model.onnx", "second.onnx", "-d", "box", "-o", "both")
    assert ended.returncode == 0, ended.stderr
    assert world.hwloop("verify", "both/second").returncode == 0


def test_what_was_measured_is_exported_as_it_was(world, monkeypatch):
    monkeypatch.setenv("HWLOOP_CACHE_DIR", str(world.cache))
    measurement = measured(world)
    ended = world.hwloop("export", measurement.id[:12], "-o", "measured", "--json")
    assert ended.returncode == 0, ended.stderr
    manifest = json.loads(ended.stdout)[0]["manifest"]
    assert manifest["artifact"] == measurement.subject.artifact_digest
    assert manifest["latency"]["measurement_id"] == measurement.id
    assert manifest["latency"]["median_ms"] == 1.25
    assert world.hwloop("verify", "measured").returncode == 0
    assert "1.25 ms a call on box with 1 thread" in (world.folder / "measured" / "README.md").read_text()
    again = world.hwloop("export", "model.onnx", "-d", "box", "-o", "again", "--json")
    assert json.loads(again.stdout)[0]["manifest"]["latency"]["measurement_id"] == measurement.id
    other = world.hwloop("export", measurement.id, "-r", "onnxruntime", "-o", "other")
    assert other.returncode == 2
    assert "is of tvm" in other.stderr


def test_a_device_gets_a_runtime_that_it_runs(world):
    ended = world.hwloop("export", "model.onnx", "-d", "plain", "-o", "by-default", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)[0]["manifest"]["runtime"]["name"] == "onnxruntime"


def measured(world):
    """Store a measurement of the model with TVM, as a measuring run does."""
    (workload,) = load_workloads([world.model], {}, {}, seed=0)
    (box,) = load_fleet(world.folder / "devices.yaml").select(["box"])
    artifact = Tvm().build(workload.model, place_of(box, print).target, VERSION, Deadline.after(LIMIT_S))
    archive, inputs = ArtifactArchive(), workload.inputs
    archive.keep(artifact, inputs.write(world.folder / "inputs"), inputs.digest)
    right = inputs.write_reference(world.folder / "inputs")
    archive.keep_reference(workload.model.digest, inputs.digest, right, workload.quantization)
    subject = replace(
        a_subject(device="box", runtime="tvm"),
        model="model",
        model_digest=workload.model.digest,
        artifact_digest=artifact.digest,
        inputs_digest=inputs.digest,
        runtime_version=VERSION,
    )
    with Store.open(world.store) as store:
        return store.finish(store.begin(subject), Verdict.VALID, (), Summary(samples=30, median_ms=1.25))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.onnx", "-d", "box"], "Say where the bundle goes: -o FILE.zip"),
        (["model.onnx", "-d", "box", "--target", "x86_64-linux-gnu", "-o", "b"], "two ways to say the same"),
        (["model.onnx", "--target", "armv7-linux-gnueabihf", "-o", "b"], "Use one of x86_64-linux-gnu"),
        (
            ["model.onnx", "--target", "x86_64-linux-gnu", "--glibc", "new", "-o", "b"],
            "--glibc new: this is no version",
        ),
        (["model.onnx", "-d", "nowhere", "-o", "b"], "there is no device and no tag 'nowhere'"),
        (["model.onnx", "-d", "box", "-r", "tflite", "-o", "b"], "there is no runtime 'tflite'"),
        (["model.onnx", "-d", "plain", "-r", "tvm", "-o", "b"], "device plain does not run tvm"),
        (["0000aaaa", "-o", "b"], "no finished measurement has an id that begins with '0000aaaa'"),
        (["nothing.onnx", "-d", "box", "-o", "b"], "nothing.onnx: there is no such file"),
    ],
)
def test_wrong_use_says_what_to_do(world, monkeypatch, words, said):
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("HWLOOP_STORE", str(world.store))
    ended = CliRunner().invoke(app, ["export", *words])
    assert isinstance(ended.exception, UsageError)
    assert said in "\n".join(error_lines(ended.exception))
    assert not (world.folder / "b").exists()
