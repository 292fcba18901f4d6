"""A bundle holds all that a device needs, runs there with python3 alone, and is the same each time it is made."""

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from hwloop.bundle.building import make_bundle
from hwloop.errors import UsageError
from hwloop.exporter.inputs import Inputs
from hwloop.exporter.toolchain import linkers_for
from hwloop.paths import cache_dir
from hwloop.records import Target
from hwloop.testing.models import perceptron


@pytest.mark.parametrize("runtime", ["tvm", "onnxruntime"])
def test_a_bundle_verifies_itself_without_site_packages(goods, verify, tmp_path, runtime):
    bundle = make_bundle(goods(runtime), tmp_path / "bundle")
    ended = verify(bundle.path, "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads(ended.stdout)["verdict"] == "good"
    assert verify(bundle.path).stdout.startswith("good: ")


def test_the_manifest_says_what_is_in_it(goods, original):
    manifest = json.loads((original / "manifest.json").read_text())
    made_of = goods()
    assert manifest["artifact"] == made_of.artifact.digest
    assert manifest["target"]["machine"] == platform.machine()
    assert (2, 17) <= tuple(manifest["target"]["glibc"]) <= (2, 28)
    assert manifest["runtime"]["packages"]["apache-tvm"] == made_of.artifact.runtime_version
    assert manifest["inputs"][0] | {"file": ""} == {"name": "x", "dtype": "float32", "shape": [8, 64], "file": ""}
    assert manifest["outputs"][0]["shape"] == [8, 32]
    assert set(manifest["quantization"].values()) == {"fp32"}
    on_disk = {path.relative_to(original).as_posix() for path in original.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == on_disk - {"manifest.json"}


def test_what_tvm_adds_to_the_weights_is_less_than_8_mb(goods, tmp_path):
    bundle = make_bundle(goods(), tmp_path / "bundle")
    assert bundle.content_bytes - bundle.manifest["files"]["model/model.so"]["bytes"] < 8_000_000
    zipped = make_bundle(goods(), tmp_path / "bundle.zip")
    assert zipped.size_bytes < bundle.size_bytes / 2


def test_two_processes_with_nothing_in_common_write_the_same_bytes(tmp_path):
    """Both compile; what they share is the folder of wheels, as they came from the index."""
    model = perceptron(tmp_path / "mlp.onnx")
    made = []
    for name in ("one", "other"):
        folder = tmp_path / name
        (folder / "cache").mkdir(parents=True)
        (folder / "cache" / "wheels").symlink_to(cache_dir() / "wheels")
        (folder / "devices.yaml").write_text(f"devices: {{local: {{transport: local, cache_dir: {folder}/device}}}}\n")
        environment = os.environ | {"HWLOOP_CACHE_DIR": str(folder / "cache"), "HWLOOP_STORE": str(folder / "store")}
        environment["PYTHONHASHSEED"] = str(len(made))
        command = [sys.executable, "-m", "hwloop", "export", str(model), "-d", "local", "-o", str(folder / "b.zip")]
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert ended.returncode == 0, ended.stderr
        made.append((folder / "b.zip").read_bytes())
    assert made[0] == made[1]


def test_the_python_sample_runs_on_inputs_of_ones_own(original, tmp_path):
    sample = [sys.executable, "-I", "-S", str(original / "sample.py")]
    zeros = np.zeros((8, 64), np.float32)
    (tmp_path / "x.bin").write_bytes(zeros.tobytes())
    subprocess.run([*sample, f"x={tmp_path}/x.bin", "--to", str(tmp_path)], env={}, timeout=60, check=True)
    assert not np.frombuffer((tmp_path / "output-0.bin").read_bytes(), np.float32).any()
    subprocess.run([*sample, "--to", str(tmp_path)], env={}, timeout=60, check=True)
    found, right = tmp_path / "output-0.bin", original / "reference" / "output-0.bin"
    np.testing.assert_allclose(np.fromfile(found, np.float32), np.fromfile(right, np.float32), rtol=1e-3, atol=1e-4)
    assert not list(original.rglob("__pycache__"))


def test_a_loaded_model_runs_as_often_as_one_likes(original):
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from driver.model import Model
model = Model(sys.argv[1])
given = model.reference_inputs()
first, zero = model.run(given), model.run({name: bytes(len(data)) for name, data in given.items()})
assert first != zero
assert all(model.run(given) == first for _ in range(100))
"""
    subprocess.run([sys.executable, "-I", "-S", "-B", "-c", script, str(original)], env={}, timeout=60, check=True)


def test_the_c_sample_links_the_runtime_and_gives_the_same_outputs(bundle, tmp_path):
    compiler = linkers_for(Target(f"{platform.machine()}-linux-gnu", "generic"))[0]
    words = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "sample.c", "-Iruntime/include", "-Lruntime"]
    words += ["-Wl,--no-as-needed", "-ltvm_runtime", "-ltvm_ffi", "-Wl,-rpath,$ORIGIN/runtime", "-o", "sample"]
    subprocess.run([*compiler, *words], cwd=bundle, timeout=120, check=True)
    ended = subprocess.run(
        ["./sample", str(tmp_path)], cwd=bundle, env={}, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "a1: 8 32, 1024 bytes\n"
    subprocess.run([sys.executable, "sample.py", "--to", str(bundle)], cwd=bundle, timeout=60, check=True)
    assert (tmp_path / "output-0.bin").read_bytes() == (bundle / "output-0.bin").read_bytes()


def test_a_built_c_sample_does_not_spoil_the_bundle(bundle, verify):
    (bundle / "sample").write_bytes(b"a program")
    assert verify(bundle).returncode == 0


def test_a_model_without_right_outputs_makes_no_bundle(goods, tmp_path):
    made_of = goods()
    with pytest.raises(UsageError, match="no bundle could be verified"):
        make_bundle(replace(made_of, inputs=Inputs(made_of.inputs.arrays, {})), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_folder_with_something_in_it_is_not_written_to(goods, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="there is something already"):
        make_bundle(goods(), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_file_that_changed_meanwhile_is_no_part_of_a_bundle(goods, tmp_path):
    made_of = goods("onnxruntime")
    other = shutil.copyfile(made_of.artifact.files["model.onnx"], tmp_path / "other.onnx")
    other.write_bytes(other.read_bytes() + b"\0")
    artifact = replace(made_of.artifact, files={"model.onnx": other})
    with pytest.raises(UsageError, match="changed while the bundle was made"):
        make_bundle(replace(made_of, artifact=artifact), tmp_path / "bundle")
