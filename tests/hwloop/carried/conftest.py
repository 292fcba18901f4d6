"""A device that no connection reaches, which is this machine's own python3 in a folder of its own."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hwloop.carried import build_job
from hwloop.devices.fleet import BundleDevice, Device, LimitSettings, TargetSettings
from hwloop.devices.runner.facts import facts
from hwloop.devices.session import parse_facts
from hwloop.exporter.device_target import target_for
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.measure import MeasureJob
from hwloop.measure.job import Silent
from hwloop.measure.workload import load_workloads
from hwloop.records import TimingProtocol
from hwloop.store import Store
from hwloop.testing.models import lstm, perceptron

QUICK = TimingProtocol(seconds=0.05, warmup_seconds=0.01, process_deadline_s=20.0)
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
LIMIT_S = 200


def airgapped(folder: Path, **target: object) -> Device:
    """This machine as the fleet file would name it."""
    told = subprocess.run(
        [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    here = parse_facts("here", facts(str(folder)))
    found = target_for(here)
    settings = {
        "triple": found.triple,
        "cpu": found.cpu,
        "features": found.features,
        "num_cores": found.num_cores,
        "glibc": "{}.{}".format(*here.glibc),
    }
    return Device(
        "airgapped",
        BundleDevice(
            transport="bundle",
            python=told.stdout.strip(),
            target=TargetSettings(**{**settings, **target}),
            # This machine has other work while tests run, and none of these figures are used.
            limits=LimitSettings(settle_s=0),
        ),
    )


@dataclass
class Carried:
    """A job, its store, and how its device runs it."""

    folder: Path
    store: Path
    device: Device
    cache: Path
    told: str = ""

    @property
    def archive(self) -> Path:
        return self.folder / "job.pyz"

    @property
    def results(self) -> Path:
        return self.folder / "job.results"

    def command(self, *words: str) -> list[str]:
        return [PYTHON, "-I", str(self.archive), "--cache", str(self.cache), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), cwd=self.folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    def document(self) -> dict:
        with zipfile.ZipFile(self.archive) as archive:
            return json.loads(archive.read("job.json"))


@pytest.fixture(scope="session")
def carry(tmp_path_factory) -> Callable[..., Carried]:
    """What writes a job of small models into a folder; all jobs unpack into one cache."""
    cache = tmp_path_factory.mktemp("device") / "cache"

    def write(folder: Path, *, models=(perceptron,), runtimes=(), protocol=QUICK, device=None) -> Carried:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [model(folder / f"{model.__name__}.onnx") for model in models]
        made = Carried(folder, folder / "store.sqlite", device or airgapped(folder), cache)
        job = MeasureJob(load_workloads(paths, {}, {}, 0), [], runtimes or [OnnxRuntime()], protocol)
        with Store.open(made.store) as store:
            build_job(job, made.device, made.archive, store, Silent())
        return made

    return write


@pytest.fixture(scope="session")
def done(carry, tmp_path_factory) -> Carried:
    """A job of two models with both runtimes, which its device has run; TVM has no LSTM."""
    made = carry(tmp_path_factory.mktemp("done"), models=(perceptron, lstm), runtimes=[OnnxRuntime(), Tvm()])
    ran = made.run()
    assert ran.returncode == 0, ran.stderr
    made.told = ran.stderr
    return made
