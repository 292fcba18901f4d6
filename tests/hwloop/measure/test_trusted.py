"""What cannot be trusted is measured again, a few times."""

import pytest

from hwloop.devices.fleet import Device, LimitSettings, LocalDevice
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.measure import MeasureJob, measure_trusted
from hwloop.measure.job import Silent
from hwloop.measure.workload import load_workloads
from hwloop.records import TimingProtocol, Verdict
from hwloop.store import Filters, Store
from hwloop.testing.models import conv_net, perceptron

# This machine has other work while tests run.
LOCAL = Device("here", LocalDevice(transport="local", limits=LimitSettings(foreign_load=1, waiting=1, settle_s=0)))


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store.sqlite") as store:
        yield store


def run(folder, store, **protocol):
    paths = [perceptron(folder / "mlp.onnx"), conv_net(folder / "conv.onnx")]
    asked = TimingProtocol(warmup_seconds=0.005, processes=1, relative_width=1.0, **protocol)
    return measure_trusted(
        MeasureJob(load_workloads(paths, {}, {}, 0), [LOCAL], [OnnxRuntime()], asked), store, Silent()
    )


def test_three_times_in_all(tmp_path, store):
    outcome = run(tmp_path, store, seconds=1e-6)  # too few calls, always
    assert [(one.subject.model, one.verdict) for one in outcome.measurements] == [
        ("mlp", Verdict.INVALID),
        ("conv", Verdict.INVALID),
    ]
    taken = store.query(Filters())
    assert len(taken) == 6
    assert {one.id for one in outcome.measurements} == {one.id for one in taken[:2]}  # the newest


def test_what_is_valid_is_measured_once(tmp_path, store):
    outcome = run(tmp_path, store, seconds=5.0)
    assert {one.verdict for one in outcome.measurements} == {Verdict.VALID}
    assert len(store.query(Filters())) == 2
