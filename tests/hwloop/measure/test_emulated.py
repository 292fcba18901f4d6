"""On an emulated Raspberry Pi, reached over real OpenSSH: instructions, the same every time, and never milliseconds."""

import contextlib
import os
import subprocess
import sys

import pytest

from hwloop.devices.fleet import Device, EmulatedDevice
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.measure import MeasureJob, measure
from hwloop.measure.job import Silent
from hwloop.measure.workload import load_workloads
from hwloop.records import TimingProtocol, Verdict
from hwloop.store import Store
from hwloop.testing.models import conv_net, perceptron

pytestmark = [pytest.mark.emulated, pytest.mark.timeout(900)]

PI4 = Device("pi4", EmulatedDevice(transport="emulated", board="pi4"))


BUSY = [sys.executable, "-c", "import signal\nsignal.alarm(600)\nwhile True: pass"]


@contextlib.contextmanager
def every_processor_busy():
    """Keep all processors of this machine busy."""
    loops = [subprocess.Popen(BUSY) for _ in range(os.cpu_count() + 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait(10)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three measuring runs of the same job, each with a connection and processes of its own; one on a busy machine."""
    folder = tmp_path_factory.mktemp("emulated")
    workloads = load_workloads([perceptron(folder / "mlp.onnx"), conv_net(folder / "conv.onnx")], {}, {}, seed=0)
    job = MeasureJob(workloads, [PI4], [OnnxRuntime(), Tvm()], TimingProtocol(), fresh=True)
    with Store.open(folder / "store.sqlite") as store:
        outcomes = [measure(job, store, Silent()) for _ in range(2)]
        with every_processor_busy():
            outcomes.append(measure(job, store, Silent()))
    for outcome in outcomes:
        assert outcome.device_errors == []
    return [outcome.measurements for outcome in outcomes]


def test_every_model_counts_with_both_runtimes(runs):
    for measurement in [one for run in runs for one in run]:
        assert measurement.verdict is Verdict.VALID, measurement.reasons
        assert measurement.summary.insns_per_call > 1000
    assert {one.subject.runtime for one in runs[0]} == {"onnxruntime", "tvm"}


def test_counts_agree_within_one_in_a_million_over_three_runs(runs):
    for same in zip(*runs, strict=True):
        counts = [one.summary.insns_per_call for one in same]
        assert max(counts) - min(counts) <= 1e-6 * max(counts), same[0].subject


def test_an_emulated_device_never_shows_milliseconds(runs):
    for measurement in runs[0]:
        shown = measurement.as_json()
        assert [shown[key] for key in ("median_ms", "ci95_ms", "p90_ms", "min_ms")] == [None] * 4


def test_outputs_are_those_of_onnx_runtime_on_the_host(runs):
    for measurement in runs[0]:
        assert measurement.summary.output_max_abs_err < 1e-4


def test_counts_of_equal_processes_agree_whatever_a_model_is_and_is_called(tmp_path):
    """Names and sizes move what lies on the heap, and where it ends."""
    shapes = [perceptron(tmp_path / f"{'m' * (5 + 8 * k)}.onnx", [17 + 2 * k, 32, 8], 1) for k in range(2)]
    shapes += [conv_net(tmp_path / f"{'c' * (1 + 10 * k)}.onnx", 4 + 2 * k, 8) for k in range(3)]
    workloads = load_workloads(shapes, {}, {}, seed=0)
    with Store.open(tmp_path / "store.sqlite") as store:
        outcome = measure(MeasureJob(workloads, [PI4], [OnnxRuntime()], TimingProtocol()), store, Silent())
    assert [one.reasons for one in outcome.measurements] == [()] * len(shapes)
