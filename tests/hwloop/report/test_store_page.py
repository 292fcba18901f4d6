"""What the page of a store holds: compact, yet whole."""

import base64
import json
import math
import re
from array import array
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.devices.fleet import load_fleet
from hwloop.devices.quarantine import note_failure
from hwloop.learning.fitting import Fitting
from hwloop.learning.rows import rows_of
from hwloop.records import Arch, Candidate, Limits, Summary, Verdict
from hwloop.records.search import Trial
from hwloop.report.fronts import Front, Point, non_dominated
from hwloop.report.measurements import COLUMNS, KEPT_SAMPLES, measurement_data, packed, short, thinned
from hwloop.report.objectives import Objective
from hwloop.report.store_page import write_report
from hwloop.store import Filters, Store
from hwloop.store.searches import Searches
from hwloop.testing.records import a_counted_run, a_run, a_subject
from hwloop.testing.stores import fill_store

FLEET = "devices:\n  local: {transport: local}\n  kitchen-pi: {transport: ssh, host: pi.example, tags: [arm64]}\n"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture
def fleet(tmp_path):
    (tmp_path / "devices.yaml").write_text(FLEET)
    return load_fleet(tmp_path / "devices.yaml")


def measured(store, subject, runs, **summary):
    measurement_id = store.begin(subject)
    for run in runs:
        store.add_run(measurement_id, run)
    return store.finish(measurement_id, Verdict.VALID, summary=Summary(samples=9, **summary), limits=Limits())


def data_of(path):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(found[1])


def unpacked(found):
    """The values of each process, as the page's script reads them."""
    step, least, *processes = found
    return [[least + step * number for number in array("H", base64.b64decode(text))] for _, _, text in processes]


@given(st.lists(st.lists(st.integers(1, 10**12), min_size=1, max_size=200), min_size=1, max_size=3))
def test_samples_come_back_to_one_part_in_65535_of_their_spread(processes):
    found_whole = packed(processes)
    kept = [thinned(samples) for samples in processes]
    spread = max(map(max, kept)) - min(map(min, kept))
    for found, samples in zip(unpacked(found_whole), kept, strict=True):
        assert found == pytest.approx(list(samples), abs=1 + spread / 65535)
    assert [part[:2] for part in found_whole[2:]] == [[len(samples), max(samples)] for samples in processes]


@given(st.integers(KEPT_SAMPLES + 1, 10**6))
def test_of_many_samples_the_kept_ones_are_in_order_with_both_ends(count):
    kept = thinned(range(count))
    assert len(kept) == KEPT_SAMPLES and list(kept) == sorted(set(kept))
    assert (kept[0], kept[-1]) == (0, count - 1)


def test_a_row_has_the_measurement_s_figures_and_an_emulated_device_counts(store):
    runs = [a_counted_run(0, [5, 6, 7])]
    measured(store, a_subject(device="pi4", emulated=True), runs, insns_per_call=6.0)
    measured(store, a_subject(), [a_run()], median_ms=5.123456, ci95_ms=(5.0, 5.25), output_max_abs_err=math.inf)
    data = measurement_data(store, store.query())
    timed, counted = (dict(zip(COLUMNS, row, strict=True)) for row in data["rows"])
    assert data["words"][timed["device"]] == "local" and data["words"][counted["device"]] == "pi4"
    assert (timed["median_ms"], timed["low_ms"], timed["high_ms"], timed["error"]) == (5.1235, 5, 5.25, "inf")
    assert (counted["median_ms"], counted["instructions"], counted["emulated"]) == (None, 6, 1)
    assert unpacked(data["samples"][1]) == [[5, 6, 7]]


@pytest.mark.parametrize(("value", "told"), [(None, None), (0.1234567, 0.12346), (3.0, 3), (math.inf, "inf")])
def test_figures_are_short(value, told):
    assert short(value) == told


points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20)


@given(points)
def test_the_front_is_what_no_other_point_beats(costs):
    def beaten(one):
        return any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in costs)

    assert sorted(non_dominated(costs)) == [place for place, one in enumerate(costs) if not beaten(one)]


def test_a_front_marks_its_best_by_what_is_wanted_of_each_objective():
    named = [Point(name, {}, x, y) for name, x, y in (("a", 1.0, 0.5), ("b", 2.0, 0.9), ("c", 3.0, 0.8))]
    front = Front("box", "t", Objective("latency", "ms"), Objective("accuracy", "fraction", True), named)
    assert [point[3] for point in front.as_json()["points"]] == [1, 1, 0]


def test_a_report_has_every_section_s_data(store, fleet, tmp_path):
    fill_store(store, 60, samples=10)
    note_failure(store.path, "kitchen-pi", "it did not answer", at_once=True)
    written = write_report(tmp_path / "r.html", store, Filters(), fleet)
    data = data_of(tmp_path / "r.html")
    assert written.measurements == len(data["measurements"]["rows"]) == 60
    assert written.fronts == len(data["fronts"]) > 0
    assert {one["name"] for one in data["fleet"]} == {"local", "kitchen-pi", "jetson", "pi4"}
    ill = next(one for one in data["fleet"] if one["name"] == "kitchen-pi")
    assert ill["quarantine"]["reason"] == "it did not answer"
    assert sum(sum(one["verdicts"].values()) for one in data["fleet"]) == 60
    assert "In quarantine: kitchen-pi." in (tmp_path / "r.html").read_text()


def test_a_report_of_one_device_holds_that_one_s_measurements(store, fleet, tmp_path):
    fill_store(store, 40, samples=5)
    write_report(tmp_path / "r.html", store, Filters(devices=["jetson"]), fleet)
    data = data_of(tmp_path / "r.html")["measurements"]
    places = {row[COLUMNS.index("device")] for row in data["rows"]}
    assert {data["words"][place] for place in places} == {"jetson"}


def test_of_each_space_the_newest_valid_measurement_of_a_model_stands_in_the_front(store, fleet, tmp_path):
    fill_store(store, 200, samples=5)
    write_report(tmp_path / "r.html", store, Filters(), fleet)
    for front in data_of(tmp_path / "r.html")["fronts"]:
        labels = [point[0] for point in front["points"]]
        assert len(labels) == len(set(labels)) >= 3
        assert all(label.startswith(front["title"].split()[0]) for label in labels)


def test_a_predictor_is_shown_against_what_it_has_not_learned_from(store, fleet, tmp_path):
    fill_store(store, 250, samples=5)
    rows = rows_of(store, "jetson", "onnxruntime")
    learned = replace(rows, rows=rows.rows[:-5])
    predictor = Fitting().fit(learned, validate=False)
    predictor.save(tmp_path / "some.json")
    whole = replace(predictor.card, learned=frozenset(row.facts.digest for row in rows.rows))
    replace(predictor, card=whole).save(tmp_path / "all.json")
    write_report(tmp_path / "r.html", store, Filters(), fleet, [tmp_path / "some.json", tmp_path / "all.json"])
    some, everything = data_of(tmp_path / "r.html")["predicted"]
    assert (some["title"], some["unit"], some["rows"]) == ("jetson with onnxruntime 1.32.0", "ms", len(learned))
    measured_ms = [short(row.median_ms) for row in rows.rows[-5:]]
    assert [point[1] for point in some["points"]] == measured_ms
    assert all(low <= told <= high for _, _, told, low, high in some["points"])
    assert everything["points"] == [] and "learned from all but 0" in everything["says"]


def test_a_search_is_a_front_of_accuracy_against_latency_on_each_of_its_devices(store, fleet, tmp_path):
    candidates = [Candidate("vit-mini", Arch({"depth": depth})) for depth in (1, 2, 3, 4)]
    values = [(0.7, 1.0, 5e6), (0.9, 2.0, 9e6), (0.8, 3.0, 7e6)]
    trials = [
        Trial(candidate, {"accuracy": accuracy, "latency@local": latency, "latency@pi4": count, "size": 1e6})
        for candidate, (accuracy, latency, count) in zip(candidates[:3], values, strict=True)
    ]
    request = {"space": "vit-mini", "task": "digits", "devices": ["local", "pi4"], "runtime": "onnxruntime"}
    searches = Searches(store)
    search = searches.resume(request)
    searches.add_batch(search.id, 0, [*trials, Trial(candidates[3], None, "it crashed")])
    measured(store, a_subject(device="pi4", emulated=True), [a_counted_run()], insns_per_call=6.0)
    write_report(tmp_path / "r.html", store, Filters(), fleet)
    local, pi4 = data_of(tmp_path / "r.html")["fronts"]
    assert (local["device"], pi4["device"]) == ("local", "pi4")
    assert local["title"].startswith("vit-mini for digits with onnxruntime, search ")
    assert (local["x"]["unit"], pi4["x"]["unit"], local["y"]["title"]) == ("ms", "instructions", "accuracy")
    assert [point[1:4] for point in local["points"]] == [[1, 0.7, 1], [2, 0.9, 1], [3, 0.8, 0]]
    assert local["points"][0][4] == [["depth", "1"]]


def test_a_search_without_accuracies_is_a_front_of_sizes(store, fleet, tmp_path):
    searches = Searches(store)
    search = searches.resume({"space": "vit-mini", "task": None, "devices": ["local"], "runtime": "tvm"})
    searches.add_batch(search.id, 0, [Trial(Candidate("vit-mini", Arch({})), {"latency": 1.0, "size": 1e6})])
    write_report(tmp_path / "r.html", store, Filters(), fleet)
    (front,) = data_of(tmp_path / "r.html")["fronts"]
    assert (front["device"], front["y"]["unit"]) == ("local", "bytes")
