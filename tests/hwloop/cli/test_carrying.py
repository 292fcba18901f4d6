"""A device that no connection reaches, on the command line: measure, run there, import, and what else is refused."""

import json
import os
import platform
import shutil
import subprocess
import sys

import pytest

from hwloop.testing.models import perceptron

LIMIT_S = 200
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
QUICK = ("--seconds", "0.05", "--warmup", "0.01")


@pytest.fixture
def world(tmp_path):
    version = subprocess.run(
        [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    machine = platform.machine()
    glibc = platform.libc_ver()[1]
    cpu = "x86-64" if machine == "x86_64" else "generic"
    (tmp_path / "devices.yaml").write_text(
        f"devices:\n  airgapped:\n    transport: bundle\n    python: '{version.stdout.strip()}'\n"
        f"    target: {{triple: {machine}-linux-gnu, cpu: {cpu}, glibc: '{glibc}'}}\n"
        "    runtimes: [tvm]\n    limits: {settle_s: 0}\n"
    )
    perceptron(tmp_path / "net.onnx")

    def hwloop(*words):
        environment = {**os.environ, "HWLOOP_STORE": str(tmp_path / "store.sqlite")}
        command = [sys.executable, "-m", "hwloop", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    hwloop.folder = tmp_path
    return hwloop


def test_there_and_back(world):
    written = world("measure", "net.onnx", "-d", "airgapped", *QUICK)
    assert written.returncode == 0, written.stderr
    assert "is a job for airgapped, with 1 measurement to take" in written.stderr

    ran = subprocess.run(
        [PYTHON, "-I", "job.pyz", "--cache", "cache"],
        cwd=world.folder,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr

    imported = world("results", "import", "job.results", "--json")
    assert imported.returncode == 0, imported.stderr
    (one,) = json.loads(imported.stdout)
    assert (one["device"], one["runtime"], one["model"]) == ("airgapped", "tvm", "net")
    assert "1 measurement taken in" in imported.stderr

    shown = world("results", "show", one["measurement_id"])
    assert shown.returncode == 0, shown.stderr
    assert "airgapped" in shown.stdout

    (world.folder / "job.pyz").unlink()
    again = world("measure", "net.onnx", "-d", "airgapped", "--json", *QUICK)
    assert [item["measurement_id"] for item in json.loads(again.stdout)] == [one["measurement_id"]]
    assert not (world.folder / "job.pyz").exists()

    (world.folder / "job.results").write_bytes((world.folder / "job.results").read_bytes()[:-9])
    torn = world("results", "import", "job.results")
    assert torn.returncode == 2
    assert "damaged or cut short" in torn.stderr


def test_what_needs_a_connection_says_that_there_is_none(world):
    ended = world("compare", "net.onnx", "net.onnx", "-d", "airgapped")
    assert ended.returncode == 2
    assert "no connection reaches it" in ended.stderr
    assert "hwloop measure MODEL -d airgapped" in ended.stderr


def test_a_jobs_file_is_for_one_device_that_is_reached_by_hand(world):
    (world.folder / "devices.yaml").write_text("devices:\n  box: {transport: local}\n")
    ended = world("measure", "net.onnx", "-d", "box", "--job", "x.pyz")
    assert ended.returncode == 2
    assert "0 of the devices here are reached by hand" in ended.stderr
