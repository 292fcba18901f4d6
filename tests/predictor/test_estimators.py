"""What every estimator must do, and what each is good at."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingRegressor

from hwloop.predictor.boosting import DEPTH, RATE, TREES, Boosting
from hwloop.predictor.estimators import ESTIMATORS, suitable
from hwloop.predictor.features import Features
from hwloop.predictor.kernel_sum import KernelSum
from hwloop.predictor.metrics import accuracy
from hwloop.predictor.polynomial import Linear
from hwloop.predictor.ridge import fit_ridge

TABULAR = [name for name in ESTIMATORS if name != KernelSum.name]
LARGEST_MAPE = {"linear": 4.0, "quadratic": 1.0, "log-quadratic": 1.0, "gaussian-process": 1.0, "boosting": 4.0}


def fitted(name, features, latencies_ms):
    estimator = ESTIMATORS[name]()
    estimator.fit(features, latencies_ms)
    return estimator


@pytest.mark.parametrize("name", TABULAR)
def test_it_learns_a_sum_with_a_product_from_200_noisy_rows(name, networks):
    features, _, noisy = networks(200)
    asked, true, _ = networks(300, seed=1)
    found = accuracy(true, fitted(name, features, noisy).predict_ms(asked))
    assert found.mape_percent < LARGEST_MAPE[name]


@pytest.mark.parametrize("name", TABULAR)
def test_latencies_times_c_give_predictions_times_c(name, networks):
    features, _, noisy = networks(60)
    once = fitted(name, features, noisy).predict_ms(features)
    assert fitted(name, features, 1000 * noisy).predict_ms(features) == pytest.approx(1000 * once, rel=1e-3)


@pytest.mark.parametrize("name", TABULAR)
def test_its_state_restores_it(name, networks):
    features, _, noisy = networks(60)
    asked, _, _ = networks(100, seed=1)
    estimator = fitted(name, features, noisy)
    state = estimator.state()
    assert all(not value.dtype.hasobject for value in state.values())
    assert (ESTIMATORS[name].restore(state).predict_ms(asked) == estimator.predict_ms(asked)).all()


@pytest.mark.parametrize("name", TABULAR)
def test_constant_columns_do_no_harm(name, networks):
    features, true, noisy = networks(60)
    more = Features.of([*features.columns, "constant"], np.column_stack([features.values, np.full(60, 7.0)]))
    assert accuracy(true, fitted(name, more, noisy).predict_ms(more)).mape_percent < 3


@pytest.mark.parametrize("name", TABULAR)
def test_predictions_stay_positive_far_outside(name, networks):
    features, _, noisy = networks(60)
    far = Features.of(features.columns, -100 * features.values)
    told = fitted(name, features, noisy).predict_ms(far)
    assert (told > 0).all()
    assert np.isfinite(told).all()


def test_boosting_from_arrays_equals_scikit_learn(networks):
    features, _, noisy = networks(150)
    asked, _, _ = networks(500, seed=1)
    mean = np.log(noisy).mean()
    theirs = GradientBoostingRegressor(
        n_estimators=TREES, learning_rate=RATE, max_depth=DEPTH, subsample=0.7, min_samples_leaf=3, random_state=0
    ).fit(features.values, np.round(np.log(noisy) - mean, 9))
    expected = np.exp(theirs.predict(asked.values) + mean)
    assert fitted("boosting", features, noisy).predict_ms(asked) == pytest.approx(expected, rel=1e-12)


class TestKernelSum:
    def test_it_learns_rooflines_from_whole_latencies(self, kernels):
        features, latencies_ms = kernels(150, noise=0.02)
        asked, true = kernels(200, seed=1)
        assert accuracy(true, fitted("kernel-sum", features, latencies_ms).predict_ms(asked)).mape_percent < 8

    def test_more_work_never_takes_less_time(self, kernels):
        features, latencies_ms = kernels(60, noise=0.1)
        estimator = fitted("kernel-sum", features, latencies_ms)
        table = features.kernels
        more = type(table)(table.rows, table.kinds, table.columns, table.row, table.kind, table.values * 1.5)
        assert (estimator.predict_ms(Features.of_kernels(more)) >= estimator.predict_ms(features)).all()

    def test_it_costs_the_same_whatever_the_order_of_kernels(self, kernels):
        features, latencies_ms = kernels(60)
        table = features.kernels
        mixed = np.random.default_rng(0).permutation(len(table.row))
        other = type(table)(
            table.rows, table.kinds, table.columns, table.row[mixed], table.kind[mixed], table.values[mixed]
        )
        estimator = fitted("kernel-sum", features, latencies_ms)
        told = estimator.predict_ms(Features.of_kernels(other))
        assert told == pytest.approx(estimator.predict_ms(features))

    def test_latencies_times_c_give_predictions_times_c(self, kernels):
        features, latencies_ms = kernels(60)
        once = fitted("kernel-sum", features, latencies_ms).predict_ms(features)
        assert fitted("kernel-sum", features, latencies_ms * 10).predict_ms(features) == pytest.approx(10 * once)

    def test_a_kernel_of_an_unknown_kind_costs_what_is_usual(self, kernels):
        features, latencies_ms = kernels(100)
        estimator = fitted("kernel-sum", features, latencies_ms)
        asked, true = kernels(100, seed=1, kinds=("conv", "never seen"))
        assert accuracy(true, estimator.predict_ms(asked)).mape_percent < 60

    def test_its_state_restores_it(self, kernels):
        features, latencies_ms = kernels(60)
        estimator = fitted("kernel-sum", features, latencies_ms)
        again = KernelSum.restore(estimator.state())
        assert (again.predict_ms(features) == estimator.predict_ms(features)).all()


def test_what_suits_depends_on_what_is_known(networks, kernels):
    assert set(suitable(networks(60)[0])) == set(TABULAR)
    assert set(suitable(networks(10)[0])) == {*TABULAR} - {"boosting"}
    assert suitable(kernels(10)[0]) == ("kernel-sum",)


@given(seed=st.integers(0, 1000), rows=st.integers(12, 40))
@settings(deadline=None, max_examples=20)
def test_the_left_out_residuals_of_ridge_are_those_of_fits_without_the_row(seed, rows):
    chance = np.random.default_rng(seed)
    design, weights = chance.standard_normal((rows, 3)), chance.uniform(0.5, 2, rows)
    target = design @ [1.0, 2.0, 3.0] + chance.standard_normal(rows)
    fit = fit_ridge(design, target, weights)
    full = np.column_stack([np.ones(rows), design])
    weighted, goal = (full * weights[:, None])[1:], (target * weights)[1:]
    without = np.linalg.solve(weighted.T @ weighted + fit.penalty * np.diag([0, 1, 1, 1]), weighted.T @ goal)
    assert fit.left_out[0] == pytest.approx(weights[0] * (target[0] - full[0] @ without), abs=1e-8)


def test_a_sum_of_terms_is_learned_exactly_by_the_linear_one(networks):
    features, _, _ = networks(50)
    latencies_ms = 5 + features.values @ [1.0, 2.0, 0.0, 3.0, 4.0]
    model = Linear()
    model.fit(features, latencies_ms)
    assert model.predict_ms(features) == pytest.approx(latencies_ms, rel=1e-4)


def test_boosting_does_not_mind_single_precision(networks):
    features, _, noisy = networks(40)
    model = Boosting()
    model.fit(features, noisy)
    rounded = Features.of(features.columns, features.values.astype(np.float32))
    assert (model.predict_ms(rounded) == model.predict_ms(features)).all()
