"""What is known of models stands beside what was measured of them."""

import sqlite3

import pytest

from hwloop.errors import StoreError
from hwloop.records import (
    Arch,
    Candidate,
    Costs,
    Kernel,
    KernelKind,
    ModelFacts,
    QuantPolicy,
    Scheme,
    Summary,
    Verdict,
)
from hwloop.store import Models, Store
from hwloop.testing.records import a_run, a_subject

PRODUCT = Kernel(KernelKind.MATMUL, "fp32", {"m": 4, "n": 8, "k": 16, "batch": 1}, 512, 32, 512, 256, 128, 3)
SOFTMAX = Kernel(KernelKind.SOFTMAX, "fp32", {"m": 4, "n": 8}, 0, 160, 0, 128, 128, 1)
COSTS = Costs(128, 512, 900, 384, (PRODUCT, SOFTMAX, PRODUCT))
CANDIDATE = Candidate("vit", Arch({"depth": 3, "mixer": "pool"}), QuantPolicy({"*": Scheme.INT8_DYNAMIC}))


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "m.sqlite") as opened:
        yield opened


def facts_of(subject, candidate=CANDIDATE, costs=COSTS):
    return ModelFacts(subject.model_digest, subject.inputs_digest, subject.model, costs, candidate)


def measured(store, subject, verdict=Verdict.VALID, summary=None):
    measurement_id = store.begin(subject)
    store.add_run(measurement_id, a_run())
    return store.finish(measurement_id, verdict, (), summary or Summary(samples=30, median_ms=5.0))


@pytest.mark.parametrize("candidate", [None, CANDIDATE])
def test_a_model_comes_back_as_it_was(store, candidate):
    facts = facts_of(a_subject(), candidate)
    Models(store).add([facts])
    assert Models(store).get(facts.digest) == facts
    assert Models(store).get("of another one") is None


def test_the_first_facts_of_a_model_stay(store):
    models, first = Models(store), facts_of(a_subject())
    models.add([first])
    models.add([facts_of(a_subject(), None)])
    assert models.get(first.digest) == first


def test_kernels_that_repeat_stand_in_the_file_once(store):
    Models(store).add([facts_of(a_subject())])
    (row,) = store.read("SELECT kernels FROM model", [])
    assert row["kernels"].count('"kind"') == 2


def test_what_is_known_is_told(store):
    here, elsewhere = facts_of(a_subject()), facts_of(a_subject(model="else"))
    Models(store).add([here])
    pairs = {(one.digest, one.inputs_digest) for one in (here, elsewhere)}
    assert Models(store).known(pairs) == {(here.digest, here.inputs_digest)}


def test_rows_to_learn_from_are_the_valid_ones_of_one_device_and_runtime(store):
    subject = a_subject()
    Models(store).add([facts_of(subject)])
    wanted = measured(store, subject)
    measured(store, subject, Verdict.INVALID)
    for change in ({"device_identity": "board-2"}, {"runtime": "tvm"}, {"runtime_version": "1"}, {"threads": 2}):
        measured(store, a_subject(**change))
    measured(store, a_subject(model="not described"))
    (row,) = Models(store).training_rows("board-1", "onnxruntime", "1.23.2")
    assert (row.measurement_id, row.subject, row.facts) == (wanted.id, subject, facts_of(subject))
    assert (row.median_ms, row.insns_per_call) == (5.0, None)
    assert Models(store).training_rows("board-1", "onnxruntime", "1.23.2", batch=8) == []


def test_an_emulated_device_gives_instructions(store):
    subject = a_subject(emulated=True)
    Models(store).add([facts_of(subject)])
    measured(store, subject, summary=Summary(samples=0, insns_per_call=7e7))
    (row,) = Models(store).training_rows("board-1", "onnxruntime", "1.23.2")
    assert (row.median_ms, row.insns_per_call) == (None, 7e7)


def test_a_model_with_other_inputs_has_other_costs(store):
    short, long = a_subject(inputs_digest="short"), a_subject(inputs_digest="long")
    larger = Costs(128, 512, 900, 768, (PRODUCT,) * 4)
    Models(store).add([facts_of(short), facts_of(long, costs=larger)])
    for subject in (short, long):
        measured(store, subject)
    rows = Models(store).training_rows("board-1", "onnxruntime", "1.23.2")
    assert [row.facts.costs for row in rows] == [COSTS, larger]


def test_models_are_never_changed(store):
    Models(store).add([facts_of(a_subject())])
    for statement in ("UPDATE model SET name = 'x'", "DELETE FROM model"):
        with pytest.raises(StoreError, match="never changed"), store.transaction() as db:
            db.execute(statement)


def test_a_row_that_was_damaged_is_told_of(store, tmp_path):
    Models(store).add([facts_of(a_subject())])
    db = sqlite3.connect(tmp_path / "m.sqlite")
    db.execute("DROP TRIGGER model_no_update")
    db.execute("UPDATE model SET kernels = '{}'")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="damaged"):
        Models(store).get(a_subject().model_digest)
