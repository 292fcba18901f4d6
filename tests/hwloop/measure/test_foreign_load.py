"""A real measurement beside a real busy loop on the same processor says so; one that had the processor does not."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest

from hwloop.devices.fleet import Device, LimitSettings, LocalDevice
from hwloop.devices.runner.sampling import fastest_cpus
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.measure import MeasureJob, measure
from hwloop.measure.job import Silent
from hwloop.measure.workload import load_workloads
from hwloop.records import TimingProtocol, Verdict
from hwloop.store import Store
from hwloop.testing.models import perceptron

PROTOCOL = TimingProtocol(seconds=0.6, relative_width=0.0, warmup_seconds=0.02)
A_QUIET_MOMENT_S = 60.0  # this machine may be busy with something else
BUSY = "import os, sys\nos.sched_setaffinity(0, [int(sys.argv[1])])\nprint(flush=True)\nwhile True: pass"


@pytest.fixture
def measured_once(tmp_path):
    """Measure a small model on this machine, anew at each call."""
    workloads = load_workloads([perceptron(tmp_path / "mlp.onnx")], {}, {}, 0)
    # It never waits for a calm machine: the verdict is what is looked at.
    here = Device("local", LocalDevice(transport="local", limits=LimitSettings(settle_s=0)))

    def measure_once():
        with Store.open(tmp_path / "m.sqlite") as store:
            outcome = measure(MeasureJob(workloads, [here], [OnnxRuntime()], PROTOCOL, fresh=True), store, Silent())
            assert not outcome.device_errors
            return store.get(outcome.measurements[0].id)

    return measure_once


@contextmanager
def busy_loops(count):
    """Keep the processor busy on which a process of one thread is timed."""
    command = [sys.executable, "-c", BUSY, str(fastest_cpus(1)[0])]
    loops = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for loop in loops:
            loop.stdout.readline()
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
            loop.stdout.close()


@contextmanager
def first_in_line():
    """Let what is timed go before whatever else this machine does, where one may (root may)."""
    usual, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, usual, parameter)


def foreign_load(measurement):
    return [reason for reason in measurement.reasons if reason.startswith("foreign load: ")]


def test_two_busy_loops_on_the_timed_processor_make_a_measurement_invalid(measured_once):
    with busy_loops(2):
        loaded = measured_once()
    assert loaded.verdict is Verdict.INVALID
    (reason,) = foreign_load(loaded)
    assert "processes): stop other programs on the device" in reason
    assert max(run.during.foreign_share for run in loaded.runs) > 0.3


def test_a_measurement_that_had_the_processor_is_not_blamed(measured_once):
    end = time.monotonic() + A_QUIET_MOMENT_S
    with first_in_line():
        while foreign_load(measured_once()):
            assert time.monotonic() < end, f"this machine was not quiet for a moment in {A_QUIET_MOMENT_S:g} s"


def test_the_limits_of_the_moment_are_stored_with_the_verdict(measured_once):
    limits = measured_once().limits
    assert limits is not None and limits.settle_s == 0


def test_at_full_speed_the_calls_that_were_set_aside_are_counted_and_the_protocol_says_so(tmp_path):
    workloads = load_workloads([perceptron(tmp_path / "mlp.onnx")], {}, {}, 0)
    here = Device("local", LocalDevice(transport="local", limits=LimitSettings(settle_s=0), full_speed=True))
    with Store.open(tmp_path / "m.sqlite") as store:
        job = MeasureJob(workloads, [here], [OnnxRuntime()], PROTOCOL)
        [found] = [store.get(one.id) for one in measure(job, store, Silent()).measurements]
    assert found.subject.protocol["full_speed"] is True
    assert 0 < found.summary.samples <= sum(len(run.samples_ns) for run in found.runs)
    assert all(run.during.full_speed_ns > 0 and run.during.set_aside >= 0 for run in found.runs)
    # What one process found, those after it know.
    quickest = [run.during.full_speed_ns for run in found.runs]
    assert quickest == sorted(quickest, reverse=True)
