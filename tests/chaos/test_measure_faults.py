"""Runners that print garbage, and connections that are lost at random: finished, or told; never wrong, never twice."""

import json
import os
import random
import subprocess
import sys

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.fleet import Device, LimitSettings, LocalDevice
from hwloop.devices.session import DeviceSession, SessionOptions
from hwloop.devices.transports.fake import FakeTransport
from hwloop.errors import DeviceUnreachable
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.measure import MeasureJob, device, measure, recovery
from hwloop.measure.job import Silent
from hwloop.measure.workload import load_workloads
from hwloop.records import TimingProtocol, Verdict
from hwloop.store import Store
from hwloop.testing.models import perceptron

QUICK = TimingProtocol(seconds=0.05, warmup_seconds=0.01, process_deadline_s=20.0)
LIMIT_S = 120.0
# Before the runner: garbage, at those of its starts whose numbers are given.
GARBLED = """#!/bin/sh
case " $* " in *" agent "* | *" zygote "*)
    echo >> {count}
    case " {starts} " in *" $(wc -l < {count}) "*) head -c 300 /dev/urandom | tr -d '\\n'; echo ;; esac
esac
exec {python} "$@"
"""


class Flaky(FakeTransport):
    """A connection that is lost before any operation, as the draw will have it."""

    def __init__(self, name, draw, risk):
        super().__init__(name)
        self._draw, self._risk = draw, risk

    def _count(self, operation):
        super()._count(operation)
        if self._draw.random() < self._risk:
            self.close()
            raise DeviceUnreachable(self._device, "the connection was lost")


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.chaos) for seed in range(4, 60))])
def test_a_connection_that_is_lost_at_random_loses_no_measurement(tmp_path, monkeypatch, fault, seed):
    monkeypatch.setattr(recovery, "SHORTEST_PAUSE_S", 0.02)
    monkeypatch.setattr(recovery, "LONGEST_PAUSE_S", 0.1)
    draw, opened = random.Random(seed), []

    def open_session(wanted, say, deadline=None):
        opened.append(wanted.name)
        transport = Flaky(wanted.name, draw, draw.choice([0.02, 0.05, 0.1]))
        session = DeviceSession(wanted.name, transport, SessionOptions(sys.executable, str(tmp_path / "device")))
        try:
            session.open(Deadline.after(30))
        except BaseException:
            session.close()
            raise
        return session

    monkeypatch.setattr(device, "open_session", open_session)
    paths = [perceptron(tmp_path / f"mlp{number}.onnx", [64, 32 + 32 * number, 32]) for number in range(3)]
    weak = Device("weak", LocalDevice(transport="local", limits=LimitSettings(settle_s=0)))
    with fault("lost at random", seed, within_s=LIMIT_S), Store.open(tmp_path / "store.sqlite") as store:
        work = MeasureJob(load_workloads(paths, {}, {}, 0), [weak], [OnnxRuntime()], QUICK, patience_s=LIMIT_S)
        outcome = measure(work, store, Silent())
        assert outcome.device_errors == []
        found = store.query(with_runs=True)
    assert sorted(one.subject.model for one in found) == ["mlp0", "mlp1", "mlp2"]
    for one in found:
        assert [run.index for run in one.runs] == list(range(len(one.runs))) and len(one.runs) >= QUICK.processes
        assert one.summary.samples == sum(len(run.samples_ns) for run in one.runs)
        assert one.verdict is not Verdict.FAILED and all(run.outputs_match for run in one.runs)


@pytest.fixture
def garbled(tmp_path):
    """Return what measures on a device whose runner prints garbage at some of its starts."""

    def run(starts):
        python = tmp_path / "python"
        python.write_text(GARBLED.format(count=tmp_path / "count", starts=starts, python=sys.executable))
        python.chmod(0o755)
        settings = {"transport": "local", "python": str(python), "cache_dir": str(tmp_path / "device")}
        settings["limits"] = {"settle_s": 0}
        (tmp_path / "devices.yaml").write_text(json.dumps({"devices": {"board": settings}}))
        model = perceptron(tmp_path / "mlp.onnx")
        command = [sys.executable, "-m", "hwloop", "measure", str(model), "-d", "board", "-r", "onnxruntime", "--json"]
        environment = {**os.environ, "HWLOOP_STORE": str(tmp_path / "store.sqlite")}
        options = [*command, "--seconds", "0.1", "--warmup", "0.02"]
        return subprocess.run(
            options, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    return run


def test_a_runner_that_prints_garbage_now_and_then_costs_retries(garbled, fault):
    with fault("garbage from the runner, some starts", within_s=LIMIT_S):
        done = garbled("1 3 5")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trying again") == 3
    assert json.loads(done.stdout)[0]["output_max_abs_err"] < 1e-4


def test_a_runner_that_always_prints_garbage_is_told_of(garbled, fault):
    with fault("garbage from the runner, always", within_s=LIMIT_S):
        done = garbled(" ".join(map(str, range(1, 100))))
    assert done.returncode == 3
    assert "board" in done.stderr and "no JSON" in done.stderr and "Traceback" not in done.stderr
