"""A new device from predictors of others and a handful of its own measurements, on simulated boards."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hwloop.cli.predictor_view import card_item, card_lines
from hwloop.errors import UsageError
from hwloop.learning.active import Goal, measure_actively
from hwloop.learning.evaluating import on_holdout, on_unseen
from hwloop.learning.few_shot import FewShot, fitting_like, load_sources, measured_otherwise, of_another_unit
from hwloop.learning.fitting import Fitting
from hwloop.learning.networks import measured_networks
from hwloop.learning.pool import Pool
from hwloop.learning.recipe import FeatureKind
from hwloop.learning.rows import find_rows, rows_of
from hwloop.learning.saved import Predictor
from hwloop.learning.sources import told_by
from hwloop.predictor.estimators import ESTIMATORS
from hwloop.predictor.graph_features import graph_features
from hwloop.predictor.metrics import accuracy, coverage
from hwloop.records import Kernel, KernelKind
from hwloop.store import Store

# Milliseconds to launch a kernel, operations and bytes in a millisecond, and that all slow down for wide products.
OLD = {"old": (2e-3, 4e6, 2e6, True), "older": (1e-2, 1e6, 1e6, True)}
NEW = {
    "slow to launch": (5e-3, 4e6, 2e6, True),
    "slow to load": (2e-3, 4e6, 1e6, True),
    "ten times faster": (4e-4, 4e7, 1.5e7, True),
}


@pytest.fixture
def on_device(measured):
    """A function that puts measurements of a named device into the store."""

    def put(networks, name, value, **changes):
        measured(networks, value=value, device=name, device_identity=name, **changes)

    return put


@pytest.fixture(scope="module")
def source_of(tmp_path_factory, measured_into, networks, simulated_board):
    """A function that fits a predictor to forty networks on an old device, whose measurements are elsewhere."""

    def source_of(name, kind=FeatureKind.KERNELS, scale=1.0, **changes):
        takes = simulated_board(*OLD[name])
        with Store.open(tmp_path_factory.mktemp("old") / "m.sqlite") as store:
            measured_into(store, networks[:40], value=lambda one: scale * takes(one), device=name, **changes)
            rows = rows_of(store, name, "onnxruntime", threads=changes.get("threads", 1))
        return Fitting(kind).fit(rows, validate=False)

    return source_of


@pytest.fixture(scope="module")
def sources(source_of):
    return tuple(source_of(name) for name in OLD)


@pytest.fixture
def learn(store, on_device, networks, simulated_board):
    """A function that measures what teaches most on a new device; returns the predictor, and the networks left."""
    by_candidate = {network.candidate: network for network in networks}
    pool = Pool.of([(network,) for network in networks])

    def learn(name, sources, count=8, kind=FeatureKind.KERNELS, **changes):
        def measure(candidates):
            on_device([by_candidate[one] for one in candidates], name, simulated_board(*NEW[name]), **changes)

        fitting, informed = FewShot(kind, sources=sources).over(pool)
        measure_actively(informed, Goal(count), fitting, measure, lambda: find_rows(store, name, "onnxruntime"))
        rows = rows_of(store, name, "onnxruntime")
        known = {row.facts.candidate for row in rows.rows}
        return fitting.fit(rows), [network for network in networks if network.candidate not in known]

    return learn


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", NEW)
def test_eight_measurements_teach_more_with_sources_than_alone(store, learn, sources, simulated_board, name, count):
    predictor, others = learn(name, sources[:count])
    true = np.array([simulated_board(*NEW[name])(network, noise=0) for network in others])
    found = accuracy(true, predictor.predict(others).mean_ms)
    assert len(others) == 52 and found.mape_percent < 10 and found.spearman > 0.95

    rows = rows_of(store, name, "onnxruntime")
    features = graph_features([network.kernels for network in [*measured_networks(rows.rows), *others]])
    features = features.with_totals(features.kernels.kinds)
    for kind in ("linear", "log-quadratic", "kernel-sum"):
        alone = ESTIMATORS[kind]()
        alone.fit(features.take(np.arange(8)), rows.values)
        missed = accuracy(true, alone.predict_ms(features.take(np.arange(8, 60))))
        assert found.mape_percent < missed.mape_percent


def test_intervals_hold_what_they_say(learn, sources, simulated_board):
    held = []
    for name, numbers in NEW.items():
        predictor, others = learn(name, sources)
        found = predictor.predict(others)
        true = np.array([simulated_board(*numbers)(network) for network in others])
        held.append(coverage(true, found.mean_ms, found.low_ms, found.high_ms).coverage_percent)
    assert np.mean(held) > 85


def test_a_saved_file_stands_alone(learn, sources, networks, tmp_path):
    predictor, _ = learn("slow to launch", sources)
    predictor.save(tmp_path / "new.json")
    loaded = Predictor.load(tmp_path / "new.json")
    assert (loaded.card, loaded.recipe) == (predictor.card, predictor.recipe)
    assert [source.card for source in loaded.sources] == [source.card for source in sources]
    found, wanted = loaded.predict(networks), predictor.predict(networks)
    np.testing.assert_array_equal(found.mean_ms, wanted.mean_ms)
    np.testing.assert_array_equal(found.high_ms, wanted.high_ms)


def test_what_was_learned_from_sources_is_a_source_itself(learn, sources):
    first, _ = learn("slow to launch", sources)
    second, others = learn("slow to load", (first,))
    assert (second.predict(others).mean_ms > 0).all() and second.sources[0].sources == sources


def test_it_says_what_it_was_learned_from(learn, sources):
    predictor, _ = learn("slow to load", sources)
    assert [source["device"] for source in card_item(predictor)["sources"]] == ["old", "older"]
    assert "the predictor of old with onnxruntime" in "\n".join(card_lines(predictor))
    assert predictor.card.rows == 8 and predictor.card.errors["rows"] == 8


def test_rows_of_the_store_do_without_a_pool(store, on_device, sources, networks, simulated_board):
    on_device(networks[:6], "new", simulated_board(*NEW["slow to load"]))
    predictor = FewShot(sources=sources).fit(rows_of(store, "new", "onnxruntime"))
    on_device(networks[6:], "new", simulated_board(*NEW["slow to load"]))
    rows = rows_of(store, "new", "onnxruntime")
    unseen = on_unseen(predictor, rows)
    assert (unseen.trained, unseen.tested) == (6, 54) and unseen.figures["spearman"] > 0.9
    held_out = on_holdout(fitting_like(predictor), rows, 0.85, 2)
    assert (held_out.trained, held_out.tested) == (9, 51) and held_out.figures["mape_percent"] < 20


def test_a_candidate_of_several_parts_is_chosen_as_one(networks, sources):
    parts = [(replace(one, part="encoder"), replace(one, part="step", repeats=30)) for one in networks]
    fitting, informed = FewShot(sources=sources).over(Pool.of(parts))
    assert len(fitting.candidates) == 120 and len(informed.features) == 60
    chosen = informed.choose((), 8, None)
    assert len({informed.candidates[place] for place in chosen}) == 8


def test_choices_serve_as_well_as_kernels(learn, source_of):
    predictor, others = learn("slow to launch", (source_of("old", FeatureKind.ARCH),), kind=FeatureKind.ARCH)
    assert (predictor.predict(others).mean_ms > 0).all()


def test_a_source_may_count_instructions(learn, source_of, simulated_board):
    source = source_of("older", scale=1e6, emulated=True)
    predictor, others = learn("slow to load", (source,))
    assert (source.card.scope.unit, predictor.card.scope.unit) == ("instructions", "ms")
    true = np.array([simulated_board(*NEW["slow to load"])(network) for network in others])
    assert accuracy(true, predictor.predict(others).mean_ms).mape_percent < 10
    told = "older with onnxruntime predicts instructions, not ms: only ratios are learned from"
    assert of_another_unit((source,), "ms") == [told] and of_another_unit((source,), "instructions") == []


def test_a_kernel_that_sources_never_saw_widens_the_interval_and_is_told(learn, sources, networks):
    predictor, _ = learn("slow to launch", sources)
    strange = Kernel(KernelKind.CONV, "fp32", {"m": 1, "n": 1, "k": 1}, 10**7, 0, 4, 4, 4, 1)
    found = predictor.predict([networks[0], replace(networks[0], kernels=(strange,) * 9)])
    assert found.novel.tolist() == [False, True]
    assert found.high_ms[1] / found.low_ms[1] > found.high_ms[0] / found.low_ms[0]
    assert any(warning.startswith("old with onnxruntime: ") and "conv/fp32" in warning for warning in found.warnings)


class TestBadInput:
    def test_too_few_rows(self, store, on_device, sources, networks, simulated_board):
        on_device(networks[:4], "new", simulated_board(*NEW["slow to load"]))
        with pytest.raises(UsageError, match=r"4 measured models of new with onnxruntime are too few.*5 are needed"):
            FewShot(sources=sources).fit(rows_of(store, "new", "onnxruntime"))

    def test_a_source_that_is_no_predictor(self, tmp_path):
        (tmp_path / "p.json").write_text('{"schema": 2}')
        with pytest.raises(UsageError, match=r"p\.json: not a saved predictor"):
            load_sources([tmp_path / "p.json"])

    def test_a_damaged_source_inside_a_file(self, learn, sources, tmp_path):
        learn("slow to load", sources)[0].save(tmp_path / "p.json")
        document = json.loads((tmp_path / "p.json").read_text())
        document["sources"][1]["schema"] = 9
        (tmp_path / "p.json").write_text(json.dumps(document))
        with pytest.raises(UsageError, match=r"p\.json, source 2: schema 9 is unknown"):
            Predictor.load(tmp_path / "p.json")

    def test_a_source_of_another_space(self, source_of, networks):
        source = source_of("old", FeatureKind.ARCH)
        plain = replace(networks[0], candidate=None, name="plain")
        with pytest.raises(UsageError, match="needs choices of toy, and plain has none"):
            told_by((source,), [plain])

    def test_a_source_that_says_the_same_of_everything(self, store, on_device, sources, networks, simulated_board):
        same = [replace(networks[0], name=f"same {number}") for number in range(6)]
        on_device(same, "new", simulated_board(*NEW["slow to load"]))
        with pytest.raises(UsageError, match="old with onnxruntime says the same of all 6 networks"):
            FewShot(sources=sources).fit(rows_of(store, "new", "onnxruntime"))

    def test_other_threads_and_batches_are_told(self, source_of):
        source = source_of("old", threads=4)
        assert measured_otherwise((source,), 1, 1) == ["old with onnxruntime was measured with threads 4, not 1"]
        assert measured_otherwise((source,), 4, 1) == []
