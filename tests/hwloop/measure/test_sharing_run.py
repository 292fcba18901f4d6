"""Equal devices that work at once: each measurement is made once, and none that one of them has is made again."""

import sys
import threading
import time

import pytest

from hwloop.deadline import Deadline
from hwloop.devices import quarantine
from hwloop.devices.fleet import Device, LimitSettings, LocalDevice
from hwloop.devices.session import DeviceSession, SessionOptions
from hwloop.devices.transports.fake import FakeTransport, Faults
from hwloop.errors import DeviceUnreachable
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.measure import MeasureJob, device, measure
from hwloop.measure.job import Silent
from hwloop.measure.quiet import Quiet
from hwloop.measure.sharing import Sharing
from hwloop.measure.workload import load_workloads
from hwloop.records import TimingProtocol
from hwloop.store import Store
from hwloop.testing.models import lstm, perceptron

QUICK = TimingProtocol(seconds=0.05, warmup_seconds=0.01, process_deadline_s=20.0)
LIMIT_S = 60.0


class Board(DeviceSession):
    """A session with a board of its own: this machine's lease, which the others want too, is left alone."""

    def lease(self, owner, deadline, *, wait, told):
        self.evidence(deadline)


@pytest.fixture
def boards(tmp_path, monkeypatch):
    """Boards by name, all of them this machine; `faults` is what goes wrong with each."""
    faults = {}

    def open_session(wanted, say, deadline=None):
        options = SessionOptions(sys.executable, str(tmp_path / wanted.name))
        session = Board(wanted.name, FakeTransport(wanted.name, faults.get(wanted.name, Faults())), options)
        try:
            session.open(Deadline.after(30))
        except BaseException:
            session.close()
            raise
        return session

    monkeypatch.setattr(device, "open_session", open_session)
    return faults


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store.sqlite") as store:
        yield store


def job(paths, names, **more):
    devices = [Device(name, LocalDevice(transport="local", limits=LimitSettings(settle_s=0))) for name in names]
    more = {"patience_s": 2.0, "sharing": frozenset(names), **more}
    return MeasureJob(load_workloads(paths, {}, {}, 0), devices, [OnnxRuntime()], QUICK, **more)


def mlps(folder, count):
    return [perceptron(folder / f"mlp{number}.onnx", [64, 32 + 32 * number, 32]) for number in range(count)]


def test_equal_boards_share_the_work_and_each_measurement_is_made_once(boards, store, tmp_path):
    outcome = measure(job(mlps(tmp_path, 6), ["one", "two", "three"]), store, Silent())
    assert [one.subject.model for one in outcome.measurements] == [f"mlp{number}" for number in range(6)]
    assert len(store.query()) == 6
    assert len({one.subject.device for one in outcome.measurements}) > 1


def test_what_an_equal_board_has_measured_is_not_measured_again(boards, store, tmp_path):
    paths = mlps(tmp_path, 4)
    alone = measure(job(paths, ["one"]), store, Silent())
    both = measure(job(paths, ["two", "one"]), store, Silent())
    assert {one.id for one in both.measurements} == {one.id for one in alone.measurements}
    each = measure(job(paths, ["two", "one"], sharing=frozenset()), store, Silent())
    assert len(each.measurements) == 8


def test_a_run_whose_work_is_taken_over_ends_without_waiting_for_the_lost_board(boards, store, tmp_path):
    boards["lost"] = Faults(lost_after=5)
    started = time.monotonic()
    outcome = measure(job(mlps(tmp_path, 3), ["lost", "well"], patience_s=600.0), store, Silent())
    assert time.monotonic() - started < LIMIT_S
    assert len(outcome.measurements) == 3 and outcome.device_errors == []


def test_a_board_that_is_lost_when_all_is_measured_has_not_failed(boards, store, tmp_path, monkeypatch):
    def trim(self, limit_bytes):
        self.close()
        raise DeviceUnreachable(self.name, "the connection was lost")

    monkeypatch.setattr(Board, "trim", trim)
    monkeypatch.setattr(Board, "leased", True)
    outcome = measure(job(mlps(tmp_path, 1), ["one"]), store, Silent())
    assert len(outcome.measurements) == 1 and outcome.device_errors == []


def test_ctrl_c_while_it_connects_is_heard_before_the_lease_is_waited_for(boards, store, tmp_path, monkeypatch):
    connected, stopped, opening = threading.Event(), threading.Event(), device.open_session

    def open_slowly(wanted, say, deadline=None):
        connected.set()
        stopped.wait(LIMIT_S)
        return opening(wanted, say, deadline)

    def wait_for_ever(self, owner, deadline, *, wait, told):
        while True:
            self.evidence(Deadline.after(LIMIT_S))
            assert not deadline.expired

    monkeypatch.setattr(device, "open_session", open_slowly)
    monkeypatch.setattr(Board, "lease", wait_for_ever)
    work = job(mlps(tmp_path, 1), ["one"])
    run = device.DeviceRun(work.devices[0], work, store, Silent(), Quiet(), Sharing(), tmp_path)
    running = threading.Thread(target=run.run, daemon=True)
    running.start()
    assert connected.wait(LIMIT_S)
    run.stop()
    stopped.set()
    running.join(10)
    ended = not running.is_alive()
    run.stop()  # now there is a session to be closed
    running.join(LIMIT_S)
    assert ended


def test_a_ctrl_c_does_not_make_a_failing_board_well(boards, store, tmp_path):
    quarantine.note_failure(store.path, "one", "away")
    quarantine.note_failure(store.path, "one", "away")
    boards["one"] = Faults(lost_after=4)
    work = job(mlps(tmp_path, 1), ["one"], patience_s=600.0)
    told = threading.Event()

    class Watcher(Silent):
        def say(self, text):
            if "trying again" in text:
                told.set()

    run = device.DeviceRun(work.devices[0], work, store, Watcher(), Quiet(), Sharing(), tmp_path)
    running = threading.Thread(target=run.run, daemon=True)
    running.start()
    assert told.wait(LIMIT_S)
    run.stop()
    running.join(LIMIT_S)
    assert not running.is_alive()
    assert quarantine.note_failure(store.path, "one", "away")  # the third in a row


def test_a_model_that_cannot_be_built_is_told_once(boards, store, tmp_path):
    paths = [lstm(tmp_path / "lstm.onnx"), *mlps(tmp_path, 2)]
    outcome = measure(job(paths, ["one", "two"]), store, Silent())
    assert sorted(one.subject.model for one in outcome.measurements) == ["lstm", "mlp0", "mlp1"]
