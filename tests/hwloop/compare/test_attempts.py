"""A comparison on a device that fails: tried again, given up, quarantined."""

import sys
from dataclasses import replace

import pytest

from hwloop.compare import attempts
from hwloop.compare.contenders import find_contenders
from hwloop.deadline import Deadline
from hwloop.devices import quarantine
from hwloop.devices.fleet import Device, LocalDevice
from hwloop.devices.session import DeviceSession, SessionOptions
from hwloop.devices.transports.local import LocalTransport
from hwloop.errors import DeviceQuarantined, DeviceUnreachable, DeviceUnsuited
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.measure import recovery
from hwloop.records.comparison import ComparisonProtocol
from hwloop.store import Store
from hwloop.store.comparisons import Comparisons
from hwloop.testing.models import perceptron

PROTOCOL = ComparisonProtocol(seconds=2.0, sets=8, turn_seconds=0.005, warmup_seconds=0.02, process_deadline_s=30.0)
DEVICE = Device("box", LocalDevice(transport="local"))
AWAY = DeviceUnreachable("box", "no route")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr("hwloop.artifacts.cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr(recovery, "SHORTEST_PAUSE_S", 0.01)
    with Store.open(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """The devices whose sessions were opened, in order."""
    opened = []

    def open_session(device, say):
        opened.append(device.name)
        session = DeviceSession("box", LocalTransport("box"), SessionOptions(sys.executable, str(tmp_path / "device")))
        session.open(Deadline.after(30))
        return session

    monkeypatch.setattr(attempts, "open_session", open_session)
    return opened


def run(store, tmp_path, progressed=lambda done, total: None, said=None, **care):
    model = perceptron(tmp_path / "small.onnx")
    contenders = find_contenders([str(model)] * 2, {}, ["onnxruntime"] * 2, {"onnxruntime": OnnxRuntime()}, store, 0)
    say = (lambda words: None) if said is None else said.append
    return attempts.compare(contenders, DEVICE, PROTOCOL, store, say, progressed, **care)


def test_a_quarantined_device_is_left_alone_unless_asked_for(store, opened, tmp_path):
    quarantine.note_failure(store.path, "box", "it burns", at_once=True)
    with pytest.raises(DeviceQuarantined, match="it burns"):
        run(store, tmp_path)
    assert opened == []
    run(store, tmp_path, despite_quarantine=True)
    assert quarantine.quarantined(store.path) == {}


def test_a_connection_that_is_lost_costs_a_retry_and_no_set(store, opened, tmp_path):
    losses = [AWAY]

    def lose(done, total):
        if done == 3 and losses:
            raise losses.pop()

    said = []
    found = run(store, tmp_path, lose, said)
    assert len(opened) == 2 and any("no route; trying again" in words for words in said)
    assert [one.index for one in Comparisons(store).sets(found.id)] == list(range(8))


def test_a_device_that_does_not_come_back_is_noted(store, opened, tmp_path):
    def lose(done, total):
        raise AWAY

    with pytest.raises(DeviceUnreachable):
        run(store, tmp_path, lose, patience_s=0.0)
    assert list(quarantine.quarantined(store.path)) == ["box"]


def test_another_board_at_the_same_address_is_refused(store, opened, tmp_path, monkeypatch):
    open_session = attempts.open_session

    def open_another(device, say):
        session = open_session(device, say)
        if len(opened) > 1:
            session.facts = replace(session.facts, identity="another")
        return session

    def lose(done, total):
        raise AWAY

    monkeypatch.setattr(attempts, "open_session", open_another)
    with pytest.raises(DeviceUnsuited, match="another board"):
        run(store, tmp_path, lose)
