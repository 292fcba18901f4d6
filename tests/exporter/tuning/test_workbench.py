"""A model's kernels, each by itself, made in any way; what goes wrong with one is its own affair."""

import platform
from dataclasses import replace

import pytest

from hwloop.exporter.model import load_model
from hwloop.exporter.schedules import Tiling, Trace
from hwloop.exporter.tuning import workbench as workbench_module
from hwloop.exporter.tuning.kernels import Candidate
from hwloop.exporter.tuning.workbench import Workbench, WorkbenchLost
from hwloop.records import Failure, FailureKind, Target
from hwloop.testing.models import lstm, perceptron

HOST = Target(f"{platform.machine()}-linux-gnu", "generic" if platform.machine() == "aarch64" else "x86-64")


@pytest.fixture
def bench(tmp_path):
    folder = tmp_path / "bench"
    folder.mkdir()
    bench = Workbench(HOST, folder)
    yield bench
    bench.close()


@pytest.fixture
def model(tmp_path):
    return load_model(perceptron(tmp_path / "p.onnx", [96, 96, 96, 40]), {})


def test_kernels_are_told_with_their_calls_tensors_and_tiles(bench, model):
    first, last = bench.load(model)
    assert (first.rule, first.calls, last.calls) == ("matmul", 2, 1)
    assert [spec.shape for spec in first.inputs] == [(8, 96), (96 * 96,)]
    assert [spec.shape for spec in last.outputs] == [(8, 40)]
    assert first.tilings and first.packed


def test_each_way_to_make_a_kernel_is_an_artifact_of_its_own(bench, model):
    kernel = bench.load(model)[0]
    rule, other = bench.build(kernel, [None, kernel.tilings[0]])
    assert isinstance(rule, Candidate) and isinstance(other, Candidate)
    assert rule.artifact.digest != other.artifact.digest
    assert rule.artifact.inputs == kernel.inputs and rule.artifact.target == HOST


def test_packed_arguments_lie_as_a_tiling_wants_them_and_the_others_as_ever(bench, model):
    kernel = bench.load(model)[0]
    number, panels = kernel.packed
    wider = Tiling(1, panels.width // panels.lanes + 1)
    names = [spec.name for spec in kernel.inputs]
    own, other = kernel.arguments(None).arrays, kernel.arguments(wider).arrays
    assert (own[names[1 - number]] == other[names[1 - number]]).all()
    assert (own[names[number]] != other[names[number]]).any()
    assert sorted(own[names[number]]) == sorted(other[names[number]])


def test_one_that_cannot_be_built_is_a_failure_and_harms_no_other(bench, model):
    kernel = bench.load(model)[0]
    bad, good = bench.build(kernel, [Trace("no trace"), None])
    assert isinstance(bad, Failure) and bad.kind is FailureKind.BUILD
    assert isinstance(good, Candidate)


def test_a_model_that_tvm_cannot_take_is_a_failure(bench, tmp_path):
    failure = bench.load(load_model(lstm(tmp_path / "lstm.onnx"), {}))
    assert isinstance(failure, Failure) and "LSTM" in failure.message


def test_a_process_that_is_lost_says_so_and_another_one_takes_over(bench, model, monkeypatch):
    kernel = bench.load(model)[0]
    monkeypatch.setattr(workbench_module, "SEARCH_STEP_S", 0.05)
    with pytest.raises(WorkbenchLost, match="did not answer"):
        bench.search(kernel, 8, lambda candidates: [None] * len(candidates))
    monkeypatch.undo()
    kernel = bench.load(model)[0]
    assert isinstance(bench.build(kernel, [None])[0], Candidate)


@pytest.mark.slow
def test_metaschedules_candidates_are_timed_by_the_caller(bench, tmp_path):
    tiny = load_model(perceptron(tmp_path / "tiny.onnx", [16, 16], rows=4), {})
    (kernel,) = bench.load(tiny)
    seen = []

    def timed(candidates):
        seen.extend(candidates)
        return [0.001 if isinstance(built, Candidate) else None for _, built in candidates]

    assert bench.search(kernel, 4, timed) == len(seen) == 4
    assert all(isinstance(schedule, Trace) for schedule, _ in seen)
    schedule = next(schedule for schedule, built in seen if isinstance(built, Candidate))
    (again,) = bench.build(replace(kernel), [schedule])
    assert isinstance(again, Candidate)
