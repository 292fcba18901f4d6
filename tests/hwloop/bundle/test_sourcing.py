"""What is exported is what was measured."""

from dataclasses import replace

import pytest

from hwloop.bundle.building import make_bundle
from hwloop.bundle.goods import Accuracy
from hwloop.bundle.sourcing import bare_place, goods_measured, goods_of, measured, place_of
from hwloop.devices.fleet import Device, LocalDevice
from hwloop.errors import UsageError
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.measure import MeasureJob, measure
from hwloop.measure.job import Silent
from hwloop.measure.workload import load_workloads
from hwloop.records import Target
from hwloop.store import Store
from hwloop.testing.models import lstm, perceptron
from hwloop.testing.records import QUICK


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr("hwloop.artifacts.cache_dir", lambda: tmp_path / "cache")
    with Store.open(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture
def device(tmp_path):
    return Device("box", LocalDevice(transport="local", cache_dir=str(tmp_path / "device")))


def test_a_measurements_bundle_holds_what_was_measured(store, device, verify, tmp_path):
    (workload,) = load_workloads([perceptron(tmp_path / "mlp.onnx")], {}, {}, seed=3)
    outcome = measure(MeasureJob([workload], [device], [Tvm()], QUICK, fresh=True), store, Silent())
    (measurement,) = outcome.measurements
    place = place_of(device, print)
    goods = goods_measured(measurement, Tvm(), place, store, print)
    assert goods.artifact.digest == measurement.subject.artifact_digest
    assert goods.inputs.digest == measurement.subject.inputs_digest
    assert goods.inputs.right_outputs == workload.inputs.right_outputs
    assert goods.known.measurement == measurement
    assert verify(make_bundle(goods, tmp_path / "bundle").path).returncode == 0
    elsewhere = replace(place, target=replace(place.target, cpu="another"))
    with pytest.raises(UsageError, match="and box is another"):
        goods_measured(measurement, Tvm(), elsewhere, store, print)


def test_a_failure_is_no_bundle(store, device, tmp_path):
    (workload,) = load_workloads([lstm(tmp_path / "lstm.onnx")], {}, {}, seed=0)
    outcome = measure(MeasureJob([workload], [device], [Tvm()], QUICK, fresh=True), store, Silent())
    (failed,) = outcome.measurements
    place = place_of(device, print)
    with pytest.raises(UsageError, match="has no operator LSTM"):
        goods_measured(failed, Tvm(), place, store, print)
    with pytest.raises(UsageError, match="has no operator LSTM"):
        goods_of(workload, Tvm(), place, store, print)


def test_what_is_known_of_a_model_goes_along(store, device, tmp_path):
    (workload,) = load_workloads([perceptron(tmp_path / "mlp.onnx")], {}, {}, seed=0)
    accuracy = Accuracy("digits", "accuracy", 0.9231)
    place = place_of(device, print)
    goods = goods_of(workload, OnnxRuntime(), place, store, print, accuracy=accuracy)
    assert goods.python == place.facts.python[:2]
    assert goods.known.accuracy == accuracy
    assert goods.known.quantization == {"h0": "fp32", "h1": "fp32"}
    assert goods.known.measurement is measured(goods.artifact, "box", store) is None


def test_a_bare_target_is_asked_nothing():
    place = bare_place(Target("aarch64-linux-gnu", "cortex-a53", ("+neon",), 1, (2, 31)), (3, 9))
    assert (place.facts.machine, place.facts.glibc, place.facts.python) == ("aarch64", (2, 31), (3, 9, 0))
