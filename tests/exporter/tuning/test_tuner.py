"""Which kernels are tuned, what is kept, and what a second run need not measure again; nothing is built or timed."""

from dataclasses import dataclass, field

import pytest

from hwloop.deadline import Deadline
from hwloop.errors import DeviceUnreachable
from hwloop.exporter.inputs import Inputs
from hwloop.exporter.model import load_model
from hwloop.exporter.schedules import Tiling, Trace
from hwloop.exporter.tuned import TRIAL, TunedKernels
from hwloop.exporter.tuning.kernels import Candidate, Kernel
from hwloop.exporter.tuning.tuner import Effort, Tuner
from hwloop.exporter.tuning.workbench import WorkbenchLost
from hwloop.records import Artifact, Failure, FailureKind, Target, TensorSpec
from hwloop.records.comparison import Finding, Judgement
from hwloop.testing.models import perceptron

HOST = Target("x86_64-linux-gnu", "x86-64-v3")
TILINGS = tuple(Tiling(rows, 2) for rows in (1, 2, 3, 4))


def kernel(name, calls, width):
    return Kernel(name, name, "matmul", calls, (), (TensorSpec("result0", "float32", (8, width)),), TILINGS, None)


# Two models with a kernel in common; what `Scripted` says it takes is its width.
KERNELS = {"wide.onnx": [kernel("common", 2, 96), kernel("last", 1, 40)], "deep.onnx": [kernel("common", 3, 96)]}


@dataclass
class Bench:
    """A workbench that builds nothing; it crashes over the kernels in `deadly`."""

    deadly: set = field(default_factory=set)
    searched: list = field(default_factory=list)
    traces: int = 0

    def load(self, model):
        return KERNELS[model.path.name]

    def build(self, kernel, schedules):
        if kernel.name in self.deadly:
            raise WorkbenchLost(Failure(FailureKind.BUILD, "TVM's compiler ended with signal 11"))
        artifact = Artifact("tvm", "0", kernel.digest, {}, {}, "model.so", (), kernel.outputs)
        return [Candidate(kernel, schedule, artifact, Inputs({}, {})) for schedule in schedules]

    def search(self, kernel, trials, timed):
        self.searched.append((kernel.name, trials))
        traces = [Trace(f"{kernel.name} {self.traces + number}") for number in range(trials)]
        self.traces += trials
        timed(list(zip(traces, self.build(kernel, traces), strict=True)))
        return trials

    def close(self):
        pass


@dataclass
class Scripted:
    """A race that knows how fast each schedule is; `failing` ones crash, and after `lives` looks the device is gone."""

    fast: float = 0.5
    verdict: Finding = Finding.FASTER
    failing: set = field(default_factory=set)
    lives: int = 10_000
    looks: list = field(default_factory=list)

    def time_ns(self, one):
        return 1000.0 * one.kernel.outputs[0].shape[-1]

    def ratio(self, rule, other):
        assert rule.schedule is None and rule.kernel == other.kernel
        self.lives -= 1
        if self.lives < 0:
            raise DeviceUnreachable("box", "gone")
        self.looks.append(other.schedule)
        if other.schedule in self.failing:
            return Failure(FailureKind.CRASH, "it crashed")
        return self.fast if other.schedule == TILINGS[1] else 1.2

    def judge(self, rule, other):
        return Judgement(self.verdict, 0.99, 12, 100, 1.0, 0.6, 0.6, (0.5, 0.7), 1.0, (0.99, 1.01), 0.01, ())


class Quiet:
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)

    def progressed(self, what, share):
        assert 0 <= share <= 1.0001


@pytest.fixture
def models(tmp_path):
    return [load_model(perceptron(tmp_path / name), {}) for name in KERNELS]


@pytest.fixture
def tuned(tmp_path):
    return TunedKernels("rules", tmp_path / "tuned")


@pytest.fixture
def tuner(tuned):
    def make(effort=Effort(0), seconds=600.0, bench=None):
        return Tuner(bench or Bench(), tuned, HOST, effort, Deadline.after(seconds), {"device": "box"}, Quiet())

    return make


def test_kernels_are_tuned_once_over_all_models_and_the_faster_way_is_kept(tuner, tuned, models):
    race = Scripted()
    common, last = tuner().tune(models, race)
    assert (common.calls, last.calls) == (5, 1)
    assert common.share == pytest.approx(5 * 96 / (5 * 96 + 40))
    assert common.schedule == TILINGS[1] and common.ratio == 0.6
    assert tuned.schedules(HOST)[common.digest] == common.schedule


def test_what_is_known_is_not_measured_again_unless_asked(tuner, models):
    first = tuner().tune(models, Scripted())
    race = Scripted()
    assert tuner().tune(models, race) == first
    assert race.looks == []
    tuner(Effort(0, fresh=True)).tune(models, race)
    assert race.looks


def test_what_is_not_shown_to_be_faster_is_not_taken(tuner, tuned, models):
    reports = tuner().tune(models, Scripted(verdict=Finding.NONE))
    assert [(report.schedule, report.ratio) for report in reports] == [(None, 1.0)] * 2
    assert tuned.schedules(HOST) == {}


def test_what_does_not_look_faster_is_not_even_judged(tuner, tuned, models):
    race = Scripted(fast=0.99)
    race.judge = None
    tuner().tune(models, race)
    assert tuned.schedules(HOST) == {}


def test_a_candidate_that_fails_is_counted_and_kept_as_such(tuner, tuned, models):
    report = tuner().tune(models[:1], Scripted(failing={TILINGS[1]}))[0]
    assert (report.tried, report.failed, report.schedule) == (4, 1, None)
    failures = {entry["failure"] for entry in tuned.entries(HOST) if entry["kind"] == TRIAL and entry["failure"]}
    assert failures == {"it crashed"}


def test_a_compiler_that_dies_over_a_kernel_leaves_the_others(tuner, tuned, models):
    tuner(bench=Bench(deadly={"common"})).tune(models, Scripted())
    assert set(tuned.schedules(HOST)) == {"last"}


def test_metaschedule_competes_and_goes_on_when_more_is_asked_for(tuner, models):
    bench, race = Bench(), Scripted()
    assert [report.tried for report in tuner(Effort(5), bench=bench).tune(models, race)] == [9, 9]
    tuner(Effort(5), bench=bench).tune(models, race)
    assert bench.searched == [("common", 5), ("last", 5)]
    tuner(Effort(8), bench=bench).tune(models, race)
    assert bench.searched[2:] == [("common", 3), ("last", 3)]


def test_a_lost_device_costs_the_look_that_was_under_way(tuner, models):
    one, race = tuner(), Scripted(lives=3)
    with pytest.raises(DeviceUnreachable):
        one.tune(models, race)
    race.lives = 10_000
    one.tune(models, race)
    assert [race.looks.count(tiling) for tiling in TILINGS] == [2, 8, 2, 2]  # of two kernels; the best 3 times more


def test_no_time_left_is_no_verdict(tuner, tuned, models):
    assert all(report.schedule is None for report in tuner(seconds=0.0).tune(models, Scripted()))
    assert tuned.verdicts(HOST) == {}
