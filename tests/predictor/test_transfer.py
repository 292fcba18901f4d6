"""A new device from known ones and a handful of measurements."""

import numpy as np
import pytest

from hwloop.errors import UsageError
from hwloop.predictor.device_prior import Deviations, DevicePrior
from hwloop.predictor.features import Features
from hwloop.predictor.metrics import accuracy, coverage
from hwloop.predictor.source_basis import Plausible, SourceBasis
from hwloop.predictor.transfer import SOURCE, Transfer


@pytest.fixture(scope="module")
def world():
    """Candidates with latencies on seven devices, and the latencies on one that is new, in ms."""
    chance = np.random.default_rng(0)
    rows, devices = 400, 8
    encoding = chance.integers(0, 4, (rows, 5)).astype(float)
    work, traffic = 1 + encoding @ [3.0, 2, 1, 0, 1], 1 + encoding @ [0.0, 1, 2, 3, 1]
    speed = np.exp(chance.normal(0, 1, devices))
    taste = chance.uniform(0.2, 0.8, devices)
    latencies = speed * (work[:, None] ** taste) * traffic[:, None] ** (1 - taste)
    latencies *= np.exp(0.01 * chance.standard_normal(latencies.shape))
    names = [f"edge {index}" for index in range(5)] + [f"{SOURCE}device {index}" for index in range(devices - 1)]
    return Features.of(names, np.hstack([encoding, latencies[:, 1:]])), latencies[:, 0]


@pytest.fixture(scope="module")
def learned(world):
    model = Transfer()
    model.learn(world[0])
    return model


def fitted(world, learned, count=8):
    """The learned model, fitted to the measurements that it chose; and which these are."""
    candidates, latencies_ms = world
    chosen = learned.choose(candidates, count)
    learned.fit(candidates.take(chosen), latencies_ms[chosen])
    return learned, chosen


def test_eight_measurements_are_enough(world, learned):
    candidates, latencies_ms = world
    model, chosen = fitted(world, learned)
    told = model.predict(candidates)
    others = np.setdiff1d(np.arange(len(candidates)), chosen)
    found = accuracy(latencies_ms[others], told.mean_ms[others])
    assert found.mape_percent < 2.5
    assert found.spearman > 0.99
    covered = coverage(latencies_ms[others], told.mean_ms[others], told.low_ms[others], told.high_ms[others])
    assert covered.coverage_percent > 80


def test_chosen_measurements_teach_more_than_random_ones(world, learned):
    candidates, latencies_ms = world
    model, _ = fitted(world, learned, 3)
    of_chosen = accuracy(latencies_ms, model.predict(candidates).mean_ms).mape_percent
    of_random = []
    for seed in range(8):
        drawn = np.random.default_rng(seed).permutation(len(candidates))[:3]
        model.fit(candidates.take(drawn), latencies_ms[drawn])
        of_random.append(accuracy(latencies_ms, model.predict(candidates).mean_ms).mape_percent)
    assert of_chosen < np.mean(of_random)


def test_a_device_that_is_a_known_one_but_faster_is_recognised(world, learned):
    candidates, _ = world
    latencies_ms = 0.03 * candidates.values[:, -1]
    chosen = learned.choose(candidates, 5)
    learned.fit(candidates.take(chosen), latencies_ms[chosen])
    assert accuracy(latencies_ms, learned.predict(candidates).mean_ms).mape_percent < 1


def test_one_impossible_measurement_is_not_believed(world, learned):
    candidates, latencies_ms = world
    chosen = learned.choose(candidates, 10)
    measured = latencies_ms[chosen].copy()
    measured[3] *= 4
    learned.fit(candidates.take(chosen), measured)
    assert not learned.kept[3]
    assert learned.kept.sum() >= 8
    assert accuracy(latencies_ms, learned.predict(candidates).mean_ms).mape_percent < 4


def test_latencies_times_c_give_predictions_times_c_nearly(world, learned):
    candidates, latencies_ms = world
    chosen = learned.choose(candidates, 8)
    learned.fit(candidates.take(chosen), latencies_ms[chosen])
    once = learned.predict(candidates).mean_ms
    learned.fit(candidates.take(chosen), 5 * latencies_ms[chosen])
    assert learned.predict(candidates).mean_ms == pytest.approx(5 * once, rel=0.02)  # the prior has an opinion


def test_a_saved_model_predicts_the_same(world, learned, tmp_path):
    candidates, _ = world
    model, chosen = fitted(world, learned)
    model.save(tmp_path / "new.npz")
    again = Transfer.load(tmp_path / "new.npz")
    assert (again.predict(candidates).mean_ms == model.predict(candidates).mean_ms).all()
    assert (again.predict(candidates).high_ms == model.predict(candidates).high_ms).all()
    assert (again.choose(candidates, 8) == chosen).all()


def test_what_was_learned_can_be_saved_before_anything_is_measured(world, learned, tmp_path):
    candidates, latencies_ms = world
    learned.save(tmp_path / "sources.npz")
    again = Transfer.load(tmp_path / "sources.npz")
    again.fit(candidates.take(np.arange(8)), latencies_ms[:8])
    assert np.isfinite(again.predict(candidates).mean_ms).all()


@pytest.mark.parametrize("devices", [1, 2, 3])
def test_few_known_devices_do(world, devices):
    candidates, latencies_ms = world
    columns = slice(0, 5 + devices)
    some = Features.of(candidates.columns[columns], candidates.values[:, columns])
    model = Transfer()
    model.learn(some)
    chosen = model.choose(some, 15)
    model.fit(some.take(chosen), latencies_ms[chosen])
    assert accuracy(latencies_ms, model.predict(some).mean_ms).spearman > 0.9


@pytest.mark.parametrize(("devices", "candidates"), [(1, 400), (2, 400), (7, 15)])
def test_intervals_hold_where_devices_or_candidates_are_too_few_to_learn_them(world, devices, candidates, tmp_path):
    everything, latencies_ms = world
    some = Features.of(everything.columns[: 5 + devices], everything.values[:, : 5 + devices])
    held = []
    for seed in range(10):
        drawn = np.random.default_rng(seed).permutation(len(some))
        model = Transfer()
        model.learn(some.take(drawn[:candidates]))
        model.fit(some.take(drawn[:8]), latencies_ms[drawn[:8]])
        told, true = model.predict(some.take(drawn[8:])), latencies_ms[drawn[8:]]
        held.append(coverage(true, told.mean_ms, told.low_ms, told.high_ms).coverage_percent)
    assert np.mean(held) > 80
    model.save(tmp_path / "new.npz")
    assert (Transfer.load(tmp_path / "new.npz").predict(some).high_ms == model.predict(some).high_ms).all()


def test_rows_outside_the_candidates_are_marked(world, learned):
    candidates, _ = world
    model, _ = fitted(world, learned)
    strange = candidates.values[:2].copy()
    strange[0, 0] = 30
    told = model.predict(Features.of(candidates.columns, strange))
    assert told.novel.tolist() == [True, False]
    assert "edge 0" in told.warnings[0]


class TestBadInput:
    def test_no_known_device(self):
        with pytest.raises(UsageError, match="begins with 'ms on '"):
            Transfer().learn(Features.of(["a"], np.arange(50.0)[:, None]))

    def test_too_few_measurements(self, world, learned):
        candidates, latencies_ms = world
        with pytest.raises(UsageError, match="2 measured rows are too few"):
            learned.fit(candidates.take(np.arange(2)), latencies_ms[:2])

    def test_too_few_candidates(self, world):
        with pytest.raises(UsageError, match="2 candidates are too few"):
            Transfer().learn(world[0].take(np.arange(2)))

    def test_predicting_before_measuring(self, world):
        with pytest.raises(UsageError, match="no measurement"):
            Transfer().predict(world[0])

    def test_choosing_before_learning(self, world):
        with pytest.raises(UsageError, match="no known device has been learned"):
            Transfer().choose(world[0], 3)

    def test_other_columns(self, world, learned):
        candidates, _ = world
        with pytest.raises(UsageError, match=r"missing ms on device 6"):
            learned.choose(Features.of(candidates.columns[:-1], candidates.values[:, :-1]), 3)


def test_impossible_latencies_of_a_known_device_are_replaced():
    chance = np.random.default_rng(0)
    true = chance.normal(2, 0.5, (200, 1)) + np.array([0.0, 1, 2, -1]) + 0.02 * chance.standard_normal((200, 4))
    wrong = true.copy()
    wrong[:15, 2] = -5
    wrong[15, 1] = -np.inf
    cleaned = Plausible.of(wrong)(wrong)
    assert np.abs(cleaned - true).max() < 0.15
    assert (cleaned[20:] == wrong[20:]).mean() > 0.99


def test_left_out_distances_are_those_of_standing_without_the_row():
    chance = np.random.default_rng(0)
    logs = chance.normal(0, 1, (50, 1)) + 0.2 * chance.standard_normal((50, 6))
    basis = SourceBasis.of(logs[:, 1:], np.zeros((50, 0)))
    prior = DevicePrior(basis.scores, Deviations().variances(basis.groups))
    rows, own = basis(logs[:8, 1:], np.zeros((8, 0))), logs[:8, 0]
    distances = prior.left_out(rows, own)
    for row in range(8):
        others = np.arange(8) != row
        mean, deviation = prior.standing(rows[others], own[others]).predict(rows[row : row + 1])
        assert distances[row] == pytest.approx(abs(own[row] - mean[0]) / deviation[0], rel=0.05)
