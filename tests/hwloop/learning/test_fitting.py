"""From rows of the store to predictors, and back from their files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hwloop.errors import UsageError
from hwloop.learning.evaluating import on_holdout, on_unseen
from hwloop.learning.fitting import Fitting
from hwloop.learning.networks import measured_networks
from hwloop.learning.picture import svg, write_picture
from hwloop.learning.recipe import FeatureKind, Recipe
from hwloop.learning.rows import rows_of
from hwloop.learning.saved import Predictor
from hwloop.learning.totals import predicted
from hwloop.predictor.candidate_features import CandidateEncoding
from hwloop.predictor.gaussian_process import GaussianProcess
from hwloop.records import Kernel, KernelKind


@pytest.fixture
def rows(store, measured, networks):
    measured(networks[:40])
    return rows_of(store, "local", "onnxruntime")


@pytest.fixture
def predictor(rows):
    return Fitting().fit(rows, validate=False)


@pytest.mark.parametrize("kind", [FeatureKind.KERNELS, FeatureKind.BOTH])
def test_a_predictor_learns_from_the_store_and_says_what(rows, kind):
    card = Fitting(kind, seed=3).fit(rows).card
    assert (card.rows, card.seed, card.space, card.scope) == (40, 3, "toy", rows.scope)
    assert card.errors["mape_percent"] < 10 and card.errors["rows"] == 40
    assert card.newest.startswith("20") and len(card.learned) == 40
    assert sum(card.estimators.values()) == pytest.approx(1)


def test_a_saved_predictor_predicts_the_same(predictor, networks, tmp_path):
    predictor.save(tmp_path / "p.json")
    loaded = Predictor.load(tmp_path / "p.json")
    assert loaded.card == predictor.card and loaded.recipe == predictor.recipe
    np.testing.assert_array_equal(loaded.predict(networks[40:]).mean_ms, predictor.predict(networks[40:]).mean_ms)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"schema": 9}', "schema 9 is unknown"),
        ("[]", "schema None is unknown"),
        ("{", "not a saved predictor"),
        ('{"schema": 2, "card": {}}', "not a saved predictor"),
    ],
)
def test_what_is_no_predictor_is_refused(tmp_path, text, words):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(UsageError, match=words):
        Predictor.load(tmp_path / "p.json")


def test_a_damaged_model_inside_is_refused(predictor, tmp_path):
    predictor.save(tmp_path / "p.json")
    document = json.loads((tmp_path / "p.json").read_text())
    (tmp_path / "p.json").write_text(json.dumps({**document, "model_npz_base64": "AAAA"}))
    with pytest.raises(UsageError, match="not a saved predictor"):
        Predictor.load(tmp_path / "p.json")


def test_too_few_rows_are_told_with_how_many_and_what_to_do(store, measured, networks):
    measured(networks[:4])
    with pytest.raises(UsageError, match=r"4 measured models of local with onnxruntime are too few.*10") as told:
        Fitting().fit(rows_of(store, "local", "onnxruntime"))
    assert "Measure 6 more" in told.value.remedy


def test_a_handful_of_rows_has_no_cross_validated_errors(store, measured, networks):
    measured(networks[:10])
    assert Fitting().fit(rows_of(store, "local", "onnxruntime")).card.errors is None


def test_a_predictor_of_another_device_or_runtime_is_refused(predictor):
    predictor.refuse_other("local", None)
    with pytest.raises(UsageError, match="of runtime onnxruntime, not of tvm"):
        predictor.refuse_other(None, "tvm")
    with pytest.raises(UsageError, match="of device local, not of pi4"):
        predictor.refuse_other("pi4", "onnxruntime")


def test_a_network_without_choices_needs_a_predictor_of_kernels(rows, networks):
    plain = replace(networks[50], candidate=None, name="plain")
    with pytest.raises(UsageError, match=r"plain is no candidate.*") as told:
        Fitting(FeatureKind.BOTH).fit(rows, validate=False).predict([plain])
    assert "--features kernels" in told.value.remedy
    assert Fitting().fit(rows, validate=False).predict([plain]).mean_ms > 0


def test_choices_are_features_with_the_part_as_one_more(networks):
    parts = [replace(networks[0], part="encoder"), replace(networks[1], part="step")]
    recipe = Recipe.of(FeatureKind.ARCH, parts)
    assert {"depth", "width", "part=encoder", "part=step"} <= set(recipe.features(parts).columns)
    assert Recipe.from_json(recipe.as_json()) == recipe


def test_a_kernel_never_seen_widens_the_interval_and_is_told(predictor, networks):
    strange = Kernel(KernelKind.CONV, "fp32", {"m": 1, "n": 1, "k": 1}, 10**7, 0, 4, 4, 4, 1)
    figures, warnings = predicted(predictor, [networks[0], replace(networks[0], kernels=(strange,) * 9)])
    assert [figure.novel for figure in figures] == [False, True]
    assert figures[1].high / figures[1].low > figures[0].high / figures[0].low
    assert any("conv/fp32" in warning for warning in warnings)


def test_parts_are_summed_as_often_as_they_run(predictor, networks):
    parts = [replace(networks[50], part="encoder"), replace(networks[50], part="step", repeats=30)]
    (encoder, step, whole), _ = predicted(predictor, parts)
    assert whole.mean == pytest.approx(encoder.mean + 30 * step.mean)
    assert whole.high == pytest.approx(encoder.high + 30 * step.high)
    assert len(whole.parts) == 2


def test_it_is_evaluated_on_what_it_has_not_learned(predictor, rows, store, measured, networks):
    with pytest.raises(UsageError, match="learned from all but 0"):
        on_unseen(predictor, rows)
    measured(networks[40:])
    found = on_unseen(predictor, rows_of(store, "local", "onnxruntime"))
    assert (found.trained, found.tested, len(found.names)) == (40, 20, 20)
    assert found.figures["mape_percent"] < 10 and found.figures["spearman"] > 0.9


def test_rows_are_held_out_anew_for_each_seed(rows):
    done = []
    found = on_holdout(Fitting(), rows, 0.25, 2, done.append)
    assert (found.trained, found.tested, found.seeds, done) == (30, 10, 2, [1, 2])
    assert len(found.as_json()["points"]) == 20
    with pytest.raises(UsageError, match="38 to test on and 2 to learn from"):
        on_holdout(Fitting(), rows, 0.95, 1)


def test_figures_of_instructions_say_so(store, measured, networks):
    measured(networks[:40], value=lambda network: float(len(network.kernels)) * 1e6, emulated=True)
    found = on_holdout(Fitting(), rows_of(store, "local", "onnxruntime"), 0.25, 1)
    assert found.unit == "instructions" and "rmse_instructions" in found.figures and "rmse_ms" not in found.figures


def test_a_picture_has_a_point_for_each_row(rows, tmp_path):
    found = on_holdout(Fitting(), rows, 0.25, 1)
    assert svg(found, "a < b").count("<circle") == 10 and "a &lt; b" in svg(found, "a < b")
    write_picture(found, "title", tmp_path / "p.html")
    assert (tmp_path / "p.html").read_text().startswith("<!doctype html>")
    with pytest.raises(UsageError, match="no such kind"):
        write_picture(found, "title", tmp_path / "p.pdf")


def test_networks_of_rows_are_those_that_were_measured(rows, networks):
    assert {network.kernels for network in measured_networks(rows.rows)} <= {network.kernels for network in networks}


@pytest.mark.parametrize("count", [20, 40, 60])
def test_a_gaussian_process_learns_from_choices_alone(networks, simulated_ms, count):
    """Their columns are few and collinear, and the latencies nearly free of noise."""
    encoding = CandidateEncoding.of([network.candidate for network in networks])
    for seed in range(8):
        chosen = [networks[place] for place in np.random.default_rng(seed).permutation(len(networks))[:count]]
        features = encoding.encode([network.candidate for network in chosen])
        model = GaussianProcess()
        model.fit(features, np.array([simulated_ms(network, 0.01) for network in chosen]))
        assert np.isfinite(model.predict_ms(features)).all()
