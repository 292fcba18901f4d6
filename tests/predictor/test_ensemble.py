"""The default latency model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.errors import UsageError
from hwloop.predictor.ensemble import Ensemble
from hwloop.predictor.features import Features
from hwloop.predictor.metrics import accuracy, coverage
from hwloop.predictor.stacking import stacked_weights

QUICK = ("linear", "quadratic")


def test_it_is_as_good_as_its_best_estimator_and_its_interval_covers(networks):
    features, _, noisy = networks(200)
    asked, true, measured = networks(1000, seed=1)
    model = Ensemble()
    model.fit(features, noisy)
    told = model.predict(asked)
    assert accuracy(true, told.mean_ms).mape_percent < 0.8
    assert 85 <= coverage(measured, told.mean_ms, told.low_ms, told.high_ms).coverage_percent <= 95
    assert sum(model.weights.values()) == pytest.approx(1)


def test_intervals_cover_what_they_claim_on_average_over_fits(networks):
    asked, _, measured = networks(500, seed=99, noise=0.05)
    found = []
    for seed in range(12):
        features, _, noisy = networks(100, seed=seed, noise=0.05)
        model = Ensemble(QUICK, seed=seed)
        model.fit(features, noisy)
        told = model.predict(asked)
        found.append(coverage(measured, told.mean_ms, told.low_ms, told.high_ms).coverage_percent)
    assert 87 <= np.mean(found) <= 95


def test_a_higher_confidence_gives_a_wider_interval(networks):
    features, _, noisy = networks(100)
    widths = []
    for confidence in (0.5, 0.9, 0.99):
        model = Ensemble(QUICK, confidence=confidence)
        model.fit(features, noisy)
        told = model.predict(features)
        widths.append(float((told.high_ms / told.low_ms).mean()))
    assert widths == sorted(widths)


def test_a_slow_stretch_changes_nothing_much(networks):
    features, true, noisy = networks(200)
    noisy[:40] *= 1.3
    model = Ensemble(QUICK)
    model.fit(features, noisy)
    assert accuracy(true, model.predict(features).mean_ms).mape_percent < 1.2
    assert not model.kept[:40].any()


@given(factor=st.floats(1e-3, 1e6))
@settings(deadline=None, max_examples=8)
def test_latencies_times_c_give_predictions_times_c(factor):
    chance = np.random.default_rng(0)
    values = chance.uniform(1, 3, (40, 3))
    features = Features.of(["a", "b", "c"], values)
    latencies_ms = values.sum(axis=1) * np.exp(0.01 * chance.standard_normal(40))
    told = []
    for each in (latencies_ms, factor * latencies_ms):
        model = Ensemble(QUICK)
        model.fit(features, each)
        told.append(model.predict(features))
    assert told[1].mean_ms == pytest.approx(factor * told[0].mean_ms, rel=1e-6)
    assert told[1].high_ms == pytest.approx(factor * told[0].high_ms, rel=1e-6)


def test_the_same_data_give_the_same_model(networks):
    features, _, noisy = networks(30)
    told = []
    for _ in range(2):
        model = Ensemble()
        model.fit(features, noisy)
        told.append(model.predict(features))
    assert (told[0].mean_ms == told[1].mean_ms).all()
    assert (told[0].low_ms == told[1].low_ms).all()


def test_rows_outside_what_was_measured_are_marked_and_get_wider_intervals(networks):
    features, _, noisy = networks(100)
    model = Ensemble(QUICK)
    model.fit(features, noisy)
    outside = features.values[:2].copy()
    outside[1, 1] = 40
    told = model.predict(Features.of(features.columns, outside))
    assert told.novel.tolist() == [False, True]
    assert told.warnings == ("1 of 2 rows lie outside what was measured: width",)
    width = told.high_ms / told.low_ms
    assert width[1] > 1.5 * width[0]


class TestWithKernels:
    def test_kernels_alone_are_enough(self, kernels):
        features, latencies_ms = kernels(150, noise=0.01)
        asked, true = kernels(200, seed=1)
        model = Ensemble(["linear", "log-quadratic", "kernel-sum"])
        model.fit(features, latencies_ms)
        assert "kernel-sum" in model.weights
        assert accuracy(true, model.predict(asked).mean_ms).mape_percent < 8

    def test_a_slow_stretch_is_left_out(self, kernels):
        features, latencies_ms = kernels(100, noise=0.02)
        latencies_ms[:20] *= 1.4
        model = Ensemble(["linear", "kernel-sum"])
        model.fit(features, latencies_ms)
        assert model.kept[:20].sum() <= 2
        assert model.kept[20:].mean() > 0.9

    def test_a_kind_never_measured_is_told_and_gets_a_wide_interval(self, kernels):
        features, latencies_ms = kernels(60)
        model = Ensemble(["kernel-sum"])
        model.fit(features, latencies_ms)
        known, strange = model.predict(features), model.predict(kernels(5, seed=1, kinds=("conv", "attention"))[0])
        assert any("attention" in warning for warning in strange.warnings)
        assert strange.novel.all()
        assert (strange.high_ms / strange.low_ms).min() > (known.high_ms / known.low_ms).max()

    def test_a_saved_one_predicts_the_same(self, kernels, tmp_path):
        features, latencies_ms = kernels(60)
        model = Ensemble(["linear", "kernel-sum"])
        model.fit(features, latencies_ms)
        model.save(tmp_path / "model.npz")
        again = Ensemble.load(tmp_path / "model.npz").predict(features)
        assert (again.mean_ms == model.predict(features).mean_ms).all()


def test_a_saved_model_predicts_the_same(networks, tmp_path):
    features, _, noisy = networks(40)
    asked = Features.of(features.columns, 2 * networks(50, seed=1)[0].values)
    model = Ensemble(confidence=0.8)
    model.fit(features, noisy)
    model.save(tmp_path / "model.npz")
    again, told = Ensemble.load(tmp_path / "model.npz").predict(asked), model.predict(asked)
    assert (again.mean_ms == told.mean_ms).all()
    assert (again.low_ms == told.low_ms).all()
    assert (again.novel == told.novel).all()
    assert again.warnings == told.warnings


class TestBadInput:
    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda latencies: latencies[:9], "9 measured rows are too few"),
            (lambda latencies: np.full_like(latencies, 3.0), "which teaches nothing"),
            (lambda latencies: np.where(latencies == latencies[4], np.nan, latencies), "latency of row 4 is nan"),
            (lambda latencies: np.where(latencies == latencies[4], -1, latencies), "latency of row 4 is -1"),
            (lambda latencies: np.where(latencies == latencies[4], 0, latencies), "1 of 30 are no positive"),
            (lambda latencies: np.where(latencies == latencies[4], np.inf, latencies), "latency of row 4 is inf"),
        ],
    )
    def test_latencies_that_teach_nothing_are_refused(self, networks, spoil, words):
        features, _, noisy = networks(30)
        spoiled = spoil(noisy)
        with pytest.raises(UsageError, match=words) as caught:
            Ensemble().fit(features.take(np.arange(len(spoiled))), spoiled)
        assert caught.value.remedy

    def test_as_many_latencies_as_rows(self, networks):
        features, _, noisy = networks(30)
        with pytest.raises(UsageError, match="30 rows of features"):
            Ensemble().fit(features, noisy[:29])

    def test_other_columns_than_it_learned_from(self, networks):
        features, _, noisy = networks(30)
        model = Ensemble(QUICK)
        model.fit(features, noisy)
        with pytest.raises(UsageError, match="missing nothing; unknown more"):
            model.predict(Features.of(["depth", "width", "heads", "kernel", "more"], features.values))
        with pytest.raises(UsageError, match="order"):
            model.predict(Features.of(features.columns[::-1], features.values))

    def test_kernels_where_it_learned_without(self, networks, kernels):
        features, _, noisy = networks(30)
        model = Ensemble(QUICK)
        model.fit(features, noisy)
        with pytest.raises(UsageError, match="with kernels"):
            model.predict(Features(features.columns, features.values, kernels(30)[0].kernels))

    def test_predicting_before_learning(self, networks):
        with pytest.raises(UsageError, match="not learned anything"):
            Ensemble().predict(networks(10)[0])

    def test_features_without_anything(self):
        with pytest.raises(UsageError, match="neither columns nor kernels"):
            Ensemble().fit(Features.of([], np.zeros((20, 0))), np.arange(1.0, 21))

    def test_an_unknown_estimator(self):
        with pytest.raises(UsageError, match="no estimator oracle"):
            Ensemble(["oracle"])

    def test_an_impossible_confidence(self):
        with pytest.raises(UsageError, match="confidence"):
            Ensemble(confidence=1.0)


@given(seed=st.integers(0, 1000), rows=st.integers(10, 60))
@settings(deadline=None, max_examples=30)
def test_weights_are_shares_and_no_worse_than_the_best_estimator(seed, rows):
    chance = np.random.default_rng(seed)
    measured = chance.standard_normal(rows)
    held_out = measured[:, None] + chance.standard_normal((rows, 3)) * chance.uniform(0.05, 1, 3)
    weights = stacked_weights(held_out, measured)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    errors = ((held_out - measured[:, None]) ** 2).mean(axis=0)
    if rows >= 30:
        assert ((held_out @ weights - measured) ** 2).mean() <= errors.min() * 1.1
