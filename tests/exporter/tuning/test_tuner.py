"""Which kernels are tuned, what is kept, and what a second run need not measure again."""

import platform
from dataclasses import dataclass, field

import pytest

from hwloop.deadline import Deadline
from hwloop.errors import DeviceUnreachable
from hwloop.exporter.model import load_model
from hwloop.exporter.schedules import Tiling
from hwloop.exporter.tuned import TRIAL, TunedKernels
from hwloop.exporter.tuning.tuner import Effort, Tuner
from hwloop.exporter.tuning.workbench import Workbench
from hwloop.records import Failure, FailureKind, Target
from hwloop.records.comparison import Finding, Judgement
from hwloop.testing.models import perceptron

HOST = Target(f"{platform.machine()}-linux-gnu", "generic" if platform.machine() == "aarch64" else "x86-64")


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
        return self.fast if other.schedule == other.kernel.tilings[1] else 1.2

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
    widths = {"wide": [96, 96, 96, 40], "deep": [96, 96, 96, 96]}
    return [load_model(perceptron(tmp_path / f"{name}.onnx", one), {}) for name, one in widths.items()]


@pytest.fixture
def tuned(tmp_path):
    return TunedKernels("rules", tmp_path / "tuned")


@pytest.fixture
def tuner(tmp_path, tuned):
    benches = []

    def make(effort=Effort(0), seconds=600.0):
        folder = tmp_path / f"bench{len(benches)}"
        folder.mkdir()
        benches.append(Workbench(HOST, folder))
        return Tuner(benches[-1], tuned, HOST, effort, Deadline.after(seconds), {"device": "box"}, Quiet())

    yield make
    for bench in benches:
        bench.close()


def test_kernels_are_tuned_once_over_all_models_and_the_faster_way_is_kept(tuner, tuned, models):
    race = Scripted()
    common, last = tuner().tune(models, race)
    assert (common.calls, last.calls) == (5, 1)
    assert common.share == pytest.approx(5 * 96 / (5 * 96 + 40))
    assert isinstance(common.schedule, Tiling) and common.ratio == 0.6
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
    kernel = tuner().tune(models[:1], Scripted())[0]
    assert kernel.failed == 0
    report = tuner(Effort(0, fresh=True)).tune(models[:1], Scripted(failing={kernel.schedule}))[0]
    assert report.failed == 1
    failures = [entry["failure"] for entry in tuned.entries(HOST) if entry["kind"] == TRIAL and entry["failure"]]
    assert failures == ["it crashed"]


def test_a_lost_device_costs_the_look_that_was_under_way(tuner, models):
    one, race = tuner(), Scripted(lives=3)
    with pytest.raises(DeviceUnreachable):
        one.tune(models, race)
    race.lives = 10_000
    reports = one.tune(models, race)
    tried = [report.tried for report in reports]
    finalists = 3 * len(reports)
    assert len(race.looks) == sum(tried) + finalists


def test_no_time_left_is_no_verdict(tuner, tuned, models):
    assert all(report.schedule is None for report in tuner(seconds=0.0).tune(models, Scripted()))
    assert tuned.verdicts(HOST) == {}
