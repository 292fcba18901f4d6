"""Trying again: what may pass is tried until a device has had its chance, and not a moment longer."""

import threading
import time

import pytest

from hwloop.errors import DeviceBusy, DeviceRefused, DeviceTimeout, DeviceUnreachable, DeviceUnsuited, RunnerError
from hwloop.measure import recovery
from hwloop.measure.recovery import BROKEN_RUNNERS, Patience, may_pass, retrying

LIMIT_S = 30.0


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(recovery, "SHORTEST_PAUSE_S", 0.01)


def failing(times, error):
    """A function that fails so often, and the list of its calls."""
    calls = []

    def call():
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise error

    return call, calls


def silently(words):
    """Hear of a retry."""


@pytest.mark.parametrize("error", [DeviceUnreachable, DeviceTimeout, RunnerError])
def test_what_may_pass_is_tried_again_and_told(error):
    call, calls = failing(3, error("pi", "not now"))
    told = []
    patience = Patience(LIMIT_S)
    retrying(patience, threading.Event(), told.append)(call)
    assert len(calls) == 4
    assert [words[-3:] for words in told] == ["(1)", "(2)", "(3)"]
    assert all("not now; trying again in " in words for words in told)


@pytest.mark.parametrize("error", [DeviceRefused, DeviceUnsuited, DeviceBusy])
def test_what_will_not_pass_is_raised_at_once(error):
    call, calls = failing(1, error("pi", "no"))
    with pytest.raises(error):
        retrying(Patience(LIMIT_S), threading.Event(), silently)(call)
    assert len(calls) == 1 and not may_pass(error("pi", "no"))


def test_pauses_grow_and_end_with_the_patience(monkeypatch):
    monkeypatch.setattr(recovery, "SHORTEST_PAUSE_S", 20.0)
    call, calls = failing(10**6, DeviceUnreachable("pi", "away"))
    patience = Patience(0.3)
    with pytest.raises(DeviceUnreachable):
        retrying(patience, threading.Event(), silently)(call)
    assert len(calls) == 2 and patience.exhausted
    assert calls[1] - calls[0] < LIMIT_S / 3


def test_a_runner_that_breaks_its_contract_each_time_is_given_up():
    call, calls = failing(10**6, RunnerError("pi", "garbage"))
    with pytest.raises(RunnerError):
        retrying(Patience(LIMIT_S), threading.Event(), silently)(call)
    assert len(calls) == BROKEN_RUNNERS


@pytest.mark.parametrize("way", ["stop", "over"])
def test_a_pause_ends_when_nothing_is_to_be_done_any_more(monkeypatch, way):
    monkeypatch.setattr(recovery, "SHORTEST_PAUSE_S", 20.0)
    stop, over = threading.Event(), threading.Event()
    call, calls = failing(1, DeviceUnreachable("pi", "away"))
    threading.Timer(0.1, (stop if way == "stop" else over).set).start()
    retrying(Patience(600.0), stop, silently, over.is_set)(call)
    assert len(calls) == 2 and calls[1] - calls[0] < LIMIT_S / 3


def test_progress_starts_the_time_anew_and_waiting_for_others_costs_none():
    patience = Patience(100.0)
    patience.reached()
    patience.failed(DeviceUnreachable("pi", "away"))
    before_s = patience.remaining_s
    patience.waited(50.0)
    assert patience.remaining_s == pytest.approx(before_s + 50.0, abs=5.0)
    patience.progress()
    assert patience.failures == 0 and patience.remaining_s == pytest.approx(100.0, abs=5.0)


def test_a_device_that_never_answered_has_less_time():
    assert Patience(900.0).remaining_s <= recovery.FIRST_CONTACT_S
