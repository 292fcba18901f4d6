"""Comparisons on this machine: two models in turns, kept set by set, gone on with after an interruption."""

import os
import time
from pathlib import Path

import pytest

from hwloop.artifacts import ArtifactArchive
from hwloop.compare.attempts import compare
from hwloop.compare.contenders import find_contenders
from hwloop.deadline import Deadline
from hwloop.devices.fleet import Device, LocalDevice
from hwloop.errors import UsageError
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.measure import MeasureJob, measure
from hwloop.measure.job import Silent
from hwloop.measure.workload import load_workloads
from hwloop.records import TimingProtocol
from hwloop.records.comparison import ComparisonProtocol, Finding
from hwloop.store import Store
from hwloop.store.comparisons import Comparisons
from hwloop.testing.models import perceptron

PROTOCOL = ComparisonProtocol(seconds=2.0, sets=8, turn_seconds=0.005, warmup_seconds=0.02, process_deadline_s=30.0)
RUNTIMES = {"onnxruntime": OnnxRuntime()}


class Stopped(Exception):
    pass


@pytest.fixture
def device(tmp_path):
    return Device("box", LocalDevice(transport="local", cache_dir=str(tmp_path / "device")))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr("hwloop.artifacts.cache_dir", lambda: tmp_path / "cache")
    with Store.open(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture
def small(tmp_path):
    return perceptron(tmp_path / "small.onnx")


@pytest.fixture
def large(tmp_path):
    return perceptron(tmp_path / "large.onnx", [64, 512, 512, 32])


def contenders(store, *words):
    return find_contenders([str(word) for word in words], {}, ["onnxruntime"] * len(words), RUNTIMES, store, 0)


def run(store, device, *words, progressed=lambda done, total: None):
    return compare(contenders(store, *words), device, PROTOCOL, store, lambda text: None, progressed)


def test_a_model_ten_times_as_large_is_slower(store, device, small, large):
    found = run(store, device, small, large)
    assert found.judgement.finding is Finding.SLOWER
    assert found.judgement.ratio > 2
    assert (found.match.a.model, found.match.b.model) == ("small", "large")
    sets = Comparisons(store).sets(found.id)
    assert [one.index for one in sets] == list(range(8))
    assert all(one.outputs_match == (True, True, True) for one in sets)


def test_turns_go_there_and_back(store, device, small):
    found = run(store, device, small, small)
    for one in Comparisons(store).sets(found.id):
        for turns in one.rounds:
            order = [turn.contestant for turn in turns]
            assert order == order[::-1] and sorted(order) == [0, 0, 1, 1, 2, 2]


def test_an_interrupted_comparison_goes_on_and_counts_nothing_twice(store, device, small, large):
    def stop(done, total):
        if done == 3:
            raise Stopped

    with pytest.raises(Stopped):
        run(store, device, small, large, progressed=stop)
    steps = []
    found = run(store, device, small, large, progressed=lambda done, total: steps.append(done))
    assert steps == [4, 5, 6, 7, 8]
    assert found.judgement.sets == 8


def test_what_is_stopped_leaves_no_process_behind(store, device, small, large, tmp_path):
    def stop(done, total):
        assert len(processes_of(tmp_path)) >= 5  # agent, duel and three zygotes
        raise Stopped

    with pytest.raises(Stopped):
        run(store, device, small, large, progressed=stop)
    end = Deadline.after(20)
    while processes_of(tmp_path) and not end.expired:
        time.sleep(0.05)
    assert processes_of(tmp_path) == []


def processes_of(folder):
    """Processes whose command line names a folder."""
    return [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.parent.name != str(os.getpid()) and str(folder).encode() in read(path)
    ]


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_finished_comparison_is_made_anew(store, device, small):
    assert run(store, device, small, small).id != run(store, device, small, small).id


def test_stored_measurements_are_run_again(store, device, small, large):
    quick = TimingProtocol(seconds=0.05, warmup_seconds=0.01, process_deadline_s=20.0)
    job = MeasureJob(load_workloads([small, large], {}, {}, 0), [device], [OnnxRuntime()], quick)
    first, second = measure(job, store, Silent()).measurements
    small.unlink()
    large.unlink()
    found = run(store, device, first.id, second.id)
    assert found.judgement.finding is Finding.SLOWER
    assert found.match.a.artifact_digest == first.subject.artifact_digest
    assert all(one.outputs_match == (True, True, True) for one in Comparisons(store).sets(found.id))


def test_a_kept_artifact_that_was_damaged_is_not_run(store, device, small):
    quick = TimingProtocol(seconds=0.05, warmup_seconds=0.01, process_deadline_s=20.0)
    job = MeasureJob(load_workloads([small], {}, {}, 0), [device], [OnnxRuntime()], quick)
    measured = measure(job, store, Silent()).measurements[0]
    kept = ArtifactArchive().artifact(measured.subject.artifact_digest)
    kept.files[kept.entry].write_bytes(b"other")
    with pytest.raises(UsageError, match="damaged"):
        run(store, device, measured.id, small)


def test_a_name_that_is_neither_file_nor_measurement_is_told(store, device, small):
    with pytest.raises(UsageError, match="'0123' is no file"):
        run(store, device, "0123", small)
