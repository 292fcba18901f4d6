"""A measuring run over several devices: what fails fails alone, is told, and costs nothing that was measured."""

import sys
import time
from dataclasses import replace

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.fleet import Device, LimitSettings, LocalDevice, TargetSettings
from hwloop.devices.session import DeviceSession, SessionOptions, Zygote
from hwloop.devices.transports.fake import FakeTransport, Faults
from hwloop.devices.transports.local import LocalTransport
from hwloop.errors import DeviceError, DeviceQuarantined, DeviceUnreachable, ModelError, StoreError
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.measure import MeasureJob, device, measure
from hwloop.measure.job import Silent
from hwloop.measure.workload import load_workloads
from hwloop.records import FailureKind, TimingProtocol, Verdict
from hwloop.store import Filters, Models, Store
from hwloop.testing.models import conv_net, perceptron

QUICK = TimingProtocol(seconds=0.05, warmup_seconds=0.01, process_deadline_s=20.0)
FAST_ENOUGH_S = 60.0


class Fleet:
    """Devices that are folders on this machine; each may have faults."""

    def __init__(self, folder):
        self.folder = folder
        self.faults = {}
        self.transports = {}

    def add(self, name, faults=None):
        self.faults[name] = faults
        # This machine has other work while tests run, and none of these figures are used.
        return Device(name, LocalDevice(transport="local", limits=LimitSettings(settle_s=0)))

    def open_session(self, wanted, say, deadline=None):
        faults = self.faults[wanted.name]
        transport = FakeTransport(wanted.name, faults) if faults else LocalTransport(wanted.name)
        self.transports[wanted.name] = transport
        options = SessionOptions(sys.executable, str(self.folder / wanted.name))
        session = DeviceSession(wanted.name, transport, options)
        try:
            session.open(Deadline.after(30))
        except BaseException:
            session.close()
            raise
        return session


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    fleet = Fleet(tmp_path / "devices")
    monkeypatch.setattr(device, "open_session", fleet.open_session)
    return fleet


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store.sqlite") as store:
        yield store


def job(folder, devices, protocol=QUICK, **more):
    paths = [perceptron(folder / "mlp.onnx"), conv_net(folder / "conv.onnx")]
    more = {"patience_s": 1.0, **more}
    return MeasureJob(load_workloads(paths, {}, {}, 0), devices, [OnnxRuntime()], protocol, **more)


def test_what_was_measured_stands_beside_the_kernels_of_its_model(fleet, store, tmp_path):
    asked = job(tmp_path, [fleet.add("one")])
    outcome = measure(asked, store, Silent())
    for workload, found in zip(asked.workloads, outcome.measurements, strict=True):
        assert Models(store).get(workload.model.digest) == workload.facts()
        subject = found.subject
        where = subject.device_identity, subject.runtime, subject.runtime_version
        rows = [row for row in Models(store).training_rows(*where, batch=workload.batch) if row.subject == subject]
        # This machine has other work while tests run: not every measurement is valid.
        expected = [(found.id, workload.facts())] if found.verdict is Verdict.VALID else []
        assert [(row.measurement_id, row.facts) for row in rows] == expected


def test_results_come_in_the_order_of_models_and_devices(fleet, store, tmp_path):
    devices = [fleet.add("one"), fleet.add("two")]
    outcome = measure(job(tmp_path, devices), store, Silent())
    found = [(one.subject.model, one.subject.device) for one in outcome.measurements]
    assert found == [("mlp", "one"), ("mlp", "two"), ("conv", "one"), ("conv", "two")]
    assert outcome.device_errors == []


@pytest.mark.parametrize("lost_after", range(0, 14))
def test_a_device_that_is_lost_at_any_moment_is_told_of_and_the_other_goes_on(fleet, store, tmp_path, lost_after):
    devices = [fleet.add("good"), fleet.add("weak", Faults(lost_after=lost_after))]
    started = time.monotonic()
    outcome = measure(job(tmp_path, devices), store, Silent())
    assert time.monotonic() - started < FAST_ENOUGH_S
    done = [one.subject.device for one in outcome.measurements]
    assert done.count("good") == 2
    if done.count("weak") < 2:
        (error,) = outcome.device_errors
        assert isinstance(error, DeviceError) and error.device == "weak"


def test_a_device_lost_while_it_times_is_reached_again_and_goes_on(fleet, store, tmp_path, monkeypatch):
    """The connection goes with each of the first three processes."""
    weak = fleet.add("weak", Faults(lost_after=10**9))
    add_run, kept = Store.add_run, []

    def add_and_cut(self, measurement_id, run):
        add_run(self, measurement_id, run)
        kept.append(measurement_id)
        if len(kept) <= 3:
            fleet.transports["weak"].close()

    monkeypatch.setattr(Store, "add_run", add_and_cut)
    outcome = measure(job(tmp_path, [weak], patience_s=60.0), store, Silent())
    assert outcome.device_errors == []
    assert {one.id for one in outcome.measurements} == set(kept)
    for one in outcome.measurements:
        indexes = [run.index for run in store.get(one.id).runs]
        assert indexes == list(range(len(indexes))) and len(indexes) >= QUICK.processes


def test_a_device_that_cannot_be_opened_costs_itself_alone(fleet, store, tmp_path):
    devices = [fleet.add("away", Faults(unreachable=True)), fleet.add("good")]
    outcome = measure(job(tmp_path, devices), store, Silent())
    assert [type(error) for error in outcome.device_errors] == [DeviceUnreachable]
    assert len(outcome.measurements) == 2


def test_a_device_that_is_not_the_target_of_the_fleet_file_is_refused_before_anything_is_sent(fleet, store, tmp_path):
    fleet.add("odd", Faults())
    target = TargetSettings(triple="riscv64-linux-gnu", cpu="generic")
    odd = Device("odd", LocalDevice(transport="local", target=target))
    outcome = measure(job(tmp_path, [odd]), store, Silent())
    (error,) = outcome.device_errors
    assert "riscv64" in str(error)
    assert [line for line in fleet.transports["odd"].operations if "incoming" in line] == []


def test_what_the_store_has_is_not_pushed_and_not_measured_again(fleet, store, tmp_path):
    work = job(tmp_path, [fleet.add("one")])
    first = measure(work, store, Silent())
    again = measure(work, store, Silent())
    assert [one.id for one in first.measurements] == [one.id for one in again.measurements]
    fresh = measure(job(tmp_path, [fleet.add("one")], fresh=True), store, Silent())
    assert not {one.id for one in fresh.measurements} & {one.id for one in first.measurements}
    assert len(store.query(Filters())) == 4


def test_equal_models_are_measured_once_and_told_of_under_every_name(fleet, store, tmp_path):
    paths = [perceptron(tmp_path / "mlp.onnx"), perceptron(tmp_path / "twin.onnx")]
    for name in ("mlp.onnx", "twin.onnx"):
        assert (tmp_path / name).read_bytes() == paths[0].read_bytes()
    twins = MeasureJob(load_workloads(paths, {}, {}, 0), [fleet.add("one")], [OnnxRuntime()], QUICK)
    found = measure(twins, store, Silent()).measurements
    assert [one.subject.model for one in found] == ["mlp", "twin"]
    assert found[0].id == found[1].id


def test_what_was_measured_under_another_name_is_told_of_under_the_new_one(fleet, store, tmp_path):
    work = job(tmp_path, [fleet.add("one")])
    before = measure(work, store, Silent()).measurements
    path = (tmp_path / "mlp.onnx").rename(tmp_path / "renamed.onnx")
    again = measure(replace(work, workloads=load_workloads([path], {}, {}, 0)), store, Silent()).measurements
    assert [(one.subject.model, one.id) for one in again] == [("renamed", before[0].id)]


def test_another_protocol_is_another_measurement(fleet, store, tmp_path):
    for threads in (1, 2):
        protocol = TimingProtocol(seconds=0.05, warmup_seconds=0.01, threads=threads)
        measure(job(tmp_path, [fleet.add("one")], protocol), store, Silent())
    assert len(store.query(Filters())) == 4


def test_a_store_that_fails_ends_the_run_with_its_error(fleet, store, tmp_path, monkeypatch):
    def full(self, measurement_id, run):
        raise StoreError("the disk is full")

    monkeypatch.setattr(Store, "add_run", full)
    with pytest.raises(StoreError, match="full"):
        measure(job(tmp_path, [fleet.add("one"), fleet.add("two")]), store, Silent())


def test_a_model_file_that_changed_since_it_was_read_ends_the_run_and_no_device_is_blamed(fleet, store, tmp_path):
    asked = job(tmp_path, [fleet.add("one")])
    conv_net(tmp_path / "mlp.onnx")
    with pytest.raises(ModelError, match=r"mlp\.onnx changed after it was read"):
        measure(asked, store, Silent())
    assert "mlp" not in {found.subject.model for found in store.query()}


def test_every_measurement_of_right_outputs_says_so(fleet, store, tmp_path):
    outcome = measure(job(tmp_path, [fleet.add("one")]), store, Silent())
    for one in outcome.measurements:
        assert one.verdict is not Verdict.FAILED
        assert one.summary.output_max_abs_err < 1e-4


def test_equal_devices_share_the_cells_and_take_over_from_one_that_is_lost(fleet, store, tmp_path):
    """Both are this machine, so the lease lets one after the other work; the first is lost for good."""
    paths = [perceptron(tmp_path / f"mlp{width}.onnx", [64, width, 32]) for width in (32, 64, 96, 128)]
    devices = [fleet.add("lost", Faults(lost_after=5)), fleet.add("well")]
    work = load_workloads(paths, {}, {}, 0)
    shared = frozenset({"lost", "well"})
    outcome = measure(
        MeasureJob(work, devices, [OnnxRuntime()], QUICK, sharing=shared, patience_s=2.0), store, Silent()
    )
    assert [one.subject.model for one in outcome.measurements] == ["mlp32", "mlp64", "mlp96", "mlp128"]
    assert {one.subject.device for one in outcome.measurements} == {"well"}


def test_a_device_that_keeps_failing_is_left_alone_until_it_is_well(fleet, store, tmp_path):
    weak = fleet.add("weak", Faults(lost_after=2))
    work = job(tmp_path, [weak])
    assert not isinstance(measure(work, store, Silent()).device_errors[0], DeviceQuarantined)
    (error,) = measure(work, store, Silent()).device_errors
    assert isinstance(error, DeviceQuarantined)
    fleet.add("weak")
    again = measure(job(tmp_path, [weak], despite_quarantine=True), store, Silent())
    assert len(again.measurements) == 2
    assert measure(work, store, Silent()).device_errors == []


def test_a_candidate_that_takes_the_device_down_each_time_becomes_a_failure(fleet, store, tmp_path, monkeypatch):
    """The runner is killed whenever the second model runs."""
    run = Zygote.run

    def run_or_die(self, request):
        if request["outputs"][0]["shape"] == [1, 16, 1, 1]:
            fleet.transports["weak"].close()
        return run(self, request)

    monkeypatch.setattr(Zygote, "run", run_or_die)
    outcome = measure(job(tmp_path, [fleet.add("weak", Faults())], patience_s=60.0), store, Silent())
    well, bad = outcome.measurements
    assert well.failure is None
    assert bad.failure.kind is FailureKind.CRASH and "lost 5 times" in bad.failure.message
    assert outcome.device_errors == []
