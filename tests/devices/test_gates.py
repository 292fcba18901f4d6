"""A gate is passed at once by a calm device, and keeps a restless one waiting, but not for ever."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.devices.gates import LOOK_S, Gate
from hwloop.records import Evidence, Limits

LIMITS = Limits(hottest_c=80.0, foreign_load=0.1, settle_s=5.0, settle_total_s=12.0)
CALM = Evidence(temperature_c=50.0, throttled=0, running=0, processors=4, busy_s=100.0, idle_s=1000.0)


class Device:
    """A device whose evidence is made up; it lives by its own clock, which only waiting moves."""

    def __init__(self, evidence=CALM, stops_at_s=None):
        self.now_s = 0.0
        self.evidence = evidence
        self.reads = 0
        self.told = []
        self.stops_at_s = stops_at_s
        self.in_use = 0.0

    def read(self):
        self.reads += 1
        found = self.evidence(self.now_s) if callable(self.evidence) else self.evidence
        if found.busy_s is None:
            return found
        busy_s = self.in_use * self.now_s
        return replace(found, busy_s=100 + busy_s, idle_s=1000 + found.processors * self.now_s - busy_s)

    def wait(self, seconds):
        self.now_s += seconds
        return self.stops_at_s is not None and self.now_s >= self.stops_at_s

    def gate(self, limits=LIMITS, threads=1):
        return Gate(limits, self.read, self.told.append, self.wait, threads=threads, clock=lambda: self.now_s)


def loaded(running, in_use, **more):
    device = Device(replace(CALM, running=running, temperature_c=None), **more)
    device.in_use = in_use
    return device


def test_a_calm_device_is_not_waited_for():
    device = Device(replace(CALM, temperature_c=None))
    assert device.gate().await_calm() == 0.0
    assert (device.reads, device.told) == (1, [])


def test_a_temperature_is_looked_at_twice_once_a_run():
    device = Device()
    gate = device.gate()
    assert gate.await_calm() == LOOK_S
    assert gate.await_calm() == 0.0
    assert (device.reads, device.told) == (3, [])


def test_what_cannot_be_read_is_not_waited_for():
    device = Device(Evidence())
    assert device.gate().await_calm() == 0.0


def test_a_device_with_room_beside_what_runs_is_calm():
    assert loaded(running=3, in_use=3.0).gate().await_calm() == 0.0


def test_a_full_device_is_waited_for_up_to_the_limit_and_in_all_up_to_the_other():
    device = loaded(running=4, in_use=4.0)
    gate = device.gate()
    assert [gate.await_calm() for _ in range(5)] == [5.0, 5.0, 2.0, 0.0, 0.0]
    assert device.told == ["waiting up to 5 s for a calm device: 4 threads of others want its 4 processors"]


def test_several_threads_need_more_room():
    assert loaded(running=2, in_use=2.0).gate(threads=2).await_calm() == 0.0
    assert loaded(running=3, in_use=3.0).gate(threads=2).await_calm() == 5.0


def test_what_ran_for_a_moment_only_costs_one_more_look():
    device = loaded(running=9, in_use=0.2)
    assert device.gate().await_calm() == LOOK_S


def test_timing_begins_when_the_others_end():
    device = loaded(running=4, in_use=0.0)
    device.evidence = lambda now_s: replace(CALM, temperature_c=None, running=4 if now_s < 2 else 0)
    read, busy = device.read, {"s": 0.0}

    def read_with_an_end():
        busy["s"] = 4.0 * min(device.now_s, 2.0)
        found = read()
        return replace(found, busy_s=busy["s"], idle_s=4.0 * device.now_s - busy["s"])

    device.read = read_with_an_end
    assert device.gate().await_calm() == 2.0 + LOOK_S


def test_a_hot_device_is_let_cool_a_little_below_its_limit():
    device = Device(lambda now_s: replace(CALM, temperature_c=79.0 - now_s))
    assert device.gate().await_calm() == 2.0
    assert device.told[0].endswith("it has 79.0 °C, and shall have 77 °C or less")


def test_a_rising_temperature_is_waited_for_until_it_is_level():
    device = Device(lambda now_s: replace(CALM, temperature_c=min(60.0, 50.0 + 8 * now_s)))
    assert device.gate().await_calm() == 1.5
    assert "rises, from 50.0 to 52.0 °C" in device.told[0]


@pytest.mark.parametrize(("bits", "waited_s"), [(0x4, 5.0), (0x50000, LOOK_S)])
def test_a_throttled_device_is_waited_for_and_one_that_was_throttled_once_is_not(bits, waited_s):
    assert Device(replace(CALM, throttled=bits)).gate().await_calm() == waited_s


def test_a_run_that_is_being_stopped_waits_no_longer():
    assert loaded(running=4, in_use=4.0, stops_at_s=1.0).gate().await_calm() == 1.0


@pytest.mark.parametrize("limit", ["settle_s", "settle_total_s"])
def test_a_limit_of_zero_never_waits_nor_looks(limit):
    device = loaded(running=4, in_use=4.0)
    assert device.gate(replace(LIMITS, **{limit: 0.0})).await_calm() == 0.0
    assert device.reads == 0


evidence = st.builds(
    Evidence,
    temperature_c=st.none() | st.floats(-20, 120),
    throttled=st.none() | st.integers(0, 2**20),
    running=st.none() | st.integers(0, 20),
    processors=st.none() | st.integers(1, 8),
)


@given(st.lists(evidence, min_size=1), st.floats(0, 10), st.floats(0, 30), st.integers(1, 5))
def test_whatever_the_device_says_the_limits_hold(found, settle_s, settle_total_s, gates):
    device = Device(lambda now_s: found[device.reads % len(found)])
    gate = device.gate(replace(LIMITS, settle_s=settle_s, settle_total_s=settle_total_s))
    waits = [gate.await_calm() for _ in range(gates)]
    assert all(waited_s <= settle_s + LOOK_S for waited_s in waits)
    assert sum(waits) <= settle_total_s + LOOK_S
