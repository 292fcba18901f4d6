"""Tuning on this machine, end to end: leased, timed by the runner, kept, and taken by the next build."""

import pytest

from hwloop.devices.fleet import Device, EmulatedDevice, LocalDevice
from hwloop.errors import UsageError
from hwloop.exporter.tuning.tuner import Effort
from hwloop.measure.workload import load_workloads
from hwloop.store import Store
from hwloop.testing.models import perceptron
from hwloop.tune.run import TuneJob, tune


class Watcher:
    def __init__(self):
        self.doing = []

    def say(self, text):
        pass

    def progressed(self, what, share):
        self.doing.append(what)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("HWLOOP_CACHE_DIR", str(tmp_path / "cache"))
    with Store.open(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture
def workloads(tmp_path):
    return load_workloads([perceptron(tmp_path / "p.onnx", [256, 256, 256], rows=64)], {}, {}, 0)


def test_kernels_are_timed_tried_and_judged_on_the_device(store, workloads, tmp_path):
    device = Device("box", LocalDevice(transport="local", cache_dir=str(tmp_path / "device")))
    watcher = Watcher()
    found = tune(TuneJob(workloads, device, Effort(0), 300.0), store, watcher)
    (kernel,) = found.kernels
    assert kernel.rule == "matmul" and kernel.calls == 2 and kernel.share == 1
    assert kernel.rule_ms > 0 and kernel.tried >= 8 and kernel.failed == 0
    assert found.complete and (found.comparisons["p"] is None) == (kernel.schedule is None)
    again = tune(TuneJob(workloads, device, Effort(0), 300.0), store, watcher)
    assert again.kernels == found.kernels


def test_an_emulated_device_is_refused_as_its_counts_are_no_times(store, workloads):
    device = Device("pi4", EmulatedDevice(transport="emulated", board="pi4"))
    with pytest.raises(UsageError, match="counts instructions"):
        tune(TuneJob(workloads, device, Effort(0), 1.0), store, Watcher())
