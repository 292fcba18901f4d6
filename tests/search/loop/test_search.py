"""A whole search on this machine, with real measurements and a trained supernet: it ends in measured winners."""

import shutil
from contextlib import nullcontext
from dataclasses import replace
from random import Random

import pytest

from hwloop.devices.fleet import Device, LimitSettings, LocalDevice
from hwloop.errors import UsageError
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.measure.job import Silent
from hwloop.records import Candidate, Scheme, TimingProtocol
from hwloop.records.search import Trial
from hwloop.search.goals import Goal
from hwloop.search.loop.bench import Bench
from hwloop.search.loop.job import SearchJob, parse_schemes
from hwloop.search.loop.run import search
from hwloop.search.strategies.registry import STRATEGIES
from hwloop.search.training.recipe import Recipe
from hwloop.search.training.run import TrainingRun
from hwloop.store import Filters, Store
from hwloop.store.searches import Searches

SPACE = """
from hwloop.search.spaces.resnet import ResnetSizes, StageSizes, resnet_space

SIZES = ResnetSizes(
    (StageSizes(16, (1, 2)),), stem_width=16, stem_stride=1, widths=(0.5, 1.0), expansions=(0.5, 1.0), channels=1,
    classes=10,
)
TINY = resnet_space("tiny", "residual networks for tests", SIZES, 8)
"""
QUICK = TimingProtocol(seconds=2.0, warmup_seconds=0.1, processes=1, relative_width=1.0)
# This machine has other work while tests run.
BUSY = LimitSettings(foreign_load=1, waiting=1, frequency_moved=1, settle_s=0)
LOCAL = Device("here", LocalDevice(transport="local", limits=BUSY))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A space of one's own and weights that know digits."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "own.py").write_text(SPACE)
    space, weights = f"{folder}/own.py:TINY", folder / "tiny.safetensors"
    run = TrainingRun(Recipe(space, "digits", steps=80, batch=16, learning_rate=0.01), weights)
    run.run(lambda: False, lambda _step: None)
    return space, str(weights)


@pytest.fixture
def job(trained):
    space, weights = trained
    goal = Goal.parse("accuracy,latency")
    return SearchJob(
        space, goal, (LOCAL,), OnnxRuntime(), "digits", 8, 4, "random", protocol=QUICK, weights=weights, examples=100
    )


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store.sqlite") as store:
        yield store


def run(job, store, told=lambda _round: None):
    return search(job, Bench(job, store, lambda: nullcontext(Silent())), store, told)


def stopping_after(number):
    def told(found):
        if found.number == number:
            raise KeyboardInterrupt

    return told


def test_a_search_ends_in_a_front_that_was_measured_again(job, store):
    rounds = []
    found = run(job, store, rounds.append)
    assert [one.trials for one in rounds] == [4, 8]
    assert len({trial.candidate for trial in found.trials}) == 8
    assert all(trial.values for trial in found.trials), [trial.failure for trial in found.trials]
    assert found.front and found.closest is None
    for final in found.front:
        assert final.keeps
        assert not set(final.again.measurements) & set(final.searched.measurements)
        assert 0 < final.again.values["accuracy"] <= 1
        assert final.again.values["size"] == final.searched.values["size"] > 0
    stored = Searches(store).get(found.search_id)
    assert stored.batches == found.batches
    assert len(stored.outcome["front"]) == len(found.front)


def test_a_stopped_search_goes_on_as_if_it_had_never_been_stopped(job, store):
    with pytest.raises(KeyboardInterrupt):
        run(job, store, stopping_after(1))
    (begun,) = Searches(store).all()
    assert [len(batch) for batch in begun.batches] == [4]
    found = run(job, store)
    assert found.search_id == begun.id
    assert found.batches[0] == begun.batches[0]
    assert [len(batch) for batch in found.batches] == [4, 4]


class Arithmetic:
    """A bench whose values follow from the candidate, so that two searches are told the same."""

    def trials(self, candidates, *, examples=None, fresh=False):
        return [Trial(one, self.values(one)) for one in candidates]

    def values(self, candidate):
        numbers = [int(digit, 16) for digit in candidate.digest[:2]]
        return {"accuracy": numbers[0] / 16, "latency": 1.0 + numbers[1], "size": 1.0}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_however_often_a_search_is_stopped_it_ends_the_same(job, tmp_path, strategy):
    job = replace(job, strategy=strategy, budget=20)
    with Store.open(tmp_path / "whole.sqlite") as store:
        whole = search(job, Arithmetic(), store)
    with Store.open(tmp_path / "stopped.sqlite") as store:
        for number in range(1, 5):
            with pytest.raises(KeyboardInterrupt):
                search(job, Arithmetic(), store, stopping_after(number))
        stopped = search(job, Arithmetic(), store)
    assert stopped.batches == whole.batches
    assert stopped.front == whole.front


def test_what_the_store_has_is_neither_measured_nor_judged_again(job, store):
    first = run(job, store)
    before = len(store.query(Filters()))
    again = run(job, store)
    assert again.search_id != first.search_id
    finals = len(again.front)
    assert len(store.query(Filters())) == before + finals


def test_another_version_of_a_strategy_cannot_go_on(job, store):
    with pytest.raises(KeyboardInterrupt):
        run(job, store, stopping_after(1))
    other = replace(job, seed=1)
    request = job.request()

    class Changed(SearchJob):
        def request(self):
            return request

    with pytest.raises(UsageError, match="another version"):
        run(Changed(**vars(other)), store)


def test_what_cannot_be_met_is_told_with_what_comes_closest(job, store):
    found = run(replace(job, goal=Goal.parse("accuracy", ["latency<=0.1us"]), budget=4), store)
    assert found.front == ()
    assert found.closest.values["latency"] == min(trial.values["latency"] for trial in found.trials)
    assert Searches(store).get(found.search_id).outcome["feasible"] is False


def test_one_network_for_several_devices_has_a_latency_on_each(job, store):
    other = replace(LOCAL, name="there")
    goal = Goal.parse("accuracy,latency@here,latency@there")
    found = run(replace(job, goal=goal, devices=(LOCAL, other), budget=4), store)
    assert all({"latency@here", "latency@there"} < set(trial.values) for trial in found.trials)


def test_without_accuracy_no_task_is_needed(job, store):
    free = replace(job, goal=Goal.parse("latency,size"), task=None, weights="random", budget=4)
    assert run(free, store).front


def test_accuracy_needs_a_task(job):
    with pytest.raises(UsageError, match="no task is named"):
        replace(job, task=None)


def test_weights_count_by_their_content(job, tmp_path):
    moved = tmp_path / "moved.safetensors"
    shutil.copyfile(job.weights, moved)
    assert replace(job, weights=str(moved)).request() == job.request()
    moved.write_bytes(b"other")
    assert replace(job, weights=str(moved)).request() != job.request()
    with pytest.raises(UsageError, match="missing"):
        replace(job, weights=str(tmp_path / "missing")).request()


def test_a_candidate_that_cannot_be_exported_is_a_trial_without_values(job, store):
    bench = Bench(job, store, lambda: nullcontext(Silent()))
    good = job.genome.sample(Random(0))
    bad = Candidate(good.space, replace(good.arch, choices={**good.arch.choices, "depth.0": 99}))
    trials = bench.trials([bad, good])
    assert trials[0].values is None
    assert "cannot be exported" in trials[0].failure
    assert trials[1].values


def test_schemes_by_name():
    assert parse_schemes("fp32, int8-static") == (Scheme.FP32, Scheme.INT8_STATIC)
    with pytest.raises(UsageError, match="'int9' is no scheme"):
        parse_schemes("int9")
