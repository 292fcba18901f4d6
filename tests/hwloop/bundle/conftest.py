"""Real bundles of a small network, for this machine, made once."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache

import pytest

from hwloop.bundle.building import make_bundle
from hwloop.bundle.sourcing import goods_of, place_of
from hwloop.devices.fleet import Device, LocalDevice
from hwloop.digests import digest_file
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.measure.workload import load_workloads
from hwloop.store import Store
from hwloop.testing.models import perceptron


@pytest.fixture(scope="session")
def goods(tmp_path_factory):
    """What a bundle of a network with some runtime is made of."""
    folder = tmp_path_factory.mktemp("goods")
    here = place_of(Device("local", LocalDevice(transport="local", cache_dir=str(folder / "device"))), print)
    (workload,) = load_workloads([perceptron(folder / "mlp.onnx")], {}, {}, seed=0)

    @cache
    def make(runtime="tvm"):
        with Store.open(folder / "store.sqlite") as store:
            return goods_of(workload, {"tvm": Tvm, "onnxruntime": OnnxRuntime}[runtime](), here, store, print)

    return make


@pytest.fixture(scope="session")
def original(goods, tmp_path_factory):
    """A bundle of TVM as a folder that nobody changes."""
    return make_bundle(goods(), tmp_path_factory.mktemp("tvm") / "bundle").path


@pytest.fixture
def bundle(original, tmp_path):
    """A copy of it."""
    return shutil.copytree(original, tmp_path / "bundle")


@pytest.fixture(scope="session")
def verify():
    """Run a bundle's verify.py as a bare device does: the standard library, and an empty environment."""

    def run(folder, *words):
        command = [sys.executable, "-I", "-S", folder / "verify.py", *words]
        return subprocess.run(command, env={}, cwd=os.sep, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture(scope="session")
def change():
    """Change a bundle's manifest, and make it right again for files that were changed."""

    def apply(folder, alter=lambda manifest: None, files=()):
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        alter(manifest)
        for name in files:
            manifest["files"][name] = {"sha256": digest_file(folder / name), "bytes": (folder / name).stat().st_size}
        path.write_text(json.dumps(manifest))

    return apply
