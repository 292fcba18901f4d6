"""Calls are timed one by one until the stop rule holds, and looked around between them."""

import time

import pytest

from hwloop.devices.runner import sampling
from hwloop.devices.runner.median import middle
from hwloop.devices.runner.pace import AnyPace
from hwloop.devices.runner.sampling import narrow, sample, warm_up

JOB = {"seconds": 30.0, "min_calls": 10, "max_calls": 100, "relative_width": 0.0}


class Call:
    """A call that counts itself, and whether it was looked around while it ran."""

    def __init__(self, seconds=0.0):
        self.count = 0
        self.looks = []
        self.inside = False
        self.seconds = seconds

    def __call__(self):
        self.inside = True
        self.count += 1
        time.sleep(self.seconds)
        self.inside = False

    def look(self):
        assert not self.inside
        self.looks.append(self.count)


def test_every_call_up_to_the_most_is_timed():
    call = Call()
    samples, set_aside = sample(call, JOB, call.look)
    assert len(samples) == call.count == 100 and set_aside == 0
    assert all(time_ns > 0 for time_ns in samples)


def test_it_looks_where_the_stop_rule_is_checked_and_ever_more_rarely():
    call = Call()
    sample(call, JOB, call.look)
    assert call.looks == [10, 13, 17, 22, 28, 35, 44, 55, 69, 87]


def test_it_ends_once_the_median_is_known_narrowly_enough():
    call = Call(0.001)
    samples, _ = sample(call, {**JOB, "relative_width": 50.0}, call.look)
    assert len(samples) == 10 and call.looks == [10]


def test_no_seconds_allow_one_call():
    call = Call()
    assert len(sample(call, {**JOB, "seconds": 0.0}, call.look)[0]) == 1
    assert call.looks == []


class KeepsOneOf(AnyPace):
    """Keeps one call of so many."""

    def __init__(self, share):
        self.share = share

    def kept(self, times):
        return times[:: self.share]


def test_what_is_set_aside_is_counted():
    call = Call()
    samples, set_aside = sample(call, JOB, call.look, KeepsOneOf(2))
    assert (len(samples), set_aside) == (50, 50)


class Clock:
    """Stands still but for calls, which take as many milliseconds as a script says, over and over."""

    def __init__(self, monkeypatch, *script_ms):
        self.script_ns = [round(value * 1e6) for value in script_ms]
        self.now_ns = 0
        self.calls = 0
        monkeypatch.setattr(sampling, "time", self)

    def perf_counter_ns(self):
        return self.now_ns

    def perf_counter(self):
        return self.now_ns / 1e9

    def call(self):
        self.now_ns += self.script_ns[self.calls % len(self.script_ns)]
        self.calls += 1


@pytest.mark.parametrize(("share", "calls"), [(2, 40), (1, 100)])
def test_the_stop_rule_goes_by_what_is_kept(monkeypatch, share, calls):
    """Calls of 1 and 5 ms in turns are known narrowly where one kind of them is set aside."""
    clock = Clock(monkeypatch, 1, 5)
    sample(clock.call, {**JOB, "min_calls": 40, "relative_width": 0.1}, lambda: None, KeepsOneOf(share))
    assert clock.calls == calls


@pytest.mark.parametrize(("share", "calls"), [(4, 500), (5, 2000)])
def test_while_too_few_are_kept_it_goes_on_for_up_to_four_times_the_seconds(monkeypatch, share, calls):
    clock = Clock(monkeypatch, 1)
    kept, set_aside = sample(clock.call, {**JOB, "seconds": 0.5, "max_calls": 10_000}, lambda: None, KeepsOneOf(share))
    assert clock.calls == len(kept) + set_aside == calls


def test_it_warms_up_until_two_windows_agree():
    times, steady = warm_up(Call(0.002), 60.0)
    assert steady and len(times) >= 10


def test_no_warm_up_still_makes_two_calls():
    assert len(warm_up(Call(), 0.0)[0]) >= 2


@pytest.mark.parametrize(("values", "expected"), [([3], 3), ([1, 9], 5), ([9, 1, 5], 5)])
def test_the_middle_is_the_median(values, expected):
    assert middle(values) == expected


def test_narrow_needs_enough_samples():
    assert not narrow([5, 5, 5], 0.5)
    assert narrow([5] * 20, 0.01)
    assert not narrow([5, 50] * 20, 0.5)
