"""A measurement enters with its first run, is closed by its outcome, and never changes."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.errors import StoreError, UsageError
from hwloop.records import Summary, Verdict
from hwloop.stats import summarise
from hwloop.store import Filters, Store
from hwloop.store import store as store_module
from hwloop.testing.records import a_counted_run, a_failure, a_run, a_subject, process_runs, subjects


@pytest.fixture
def path(tmp_path):
    return tmp_path / "of" / "measurements.sqlite"


@pytest.fixture
def store(path):
    with Store.open(path) as opened:
        yield opened


def store_one(store, subject=None, runs=None, verdict=Verdict.VALID, reasons=()):
    subject = subject or a_subject()
    runs = runs or [a_run(index) for index in range(3)]
    measurement_id = store.begin(subject)
    for run in runs:
        store.add_run(measurement_id, run)
    return store.finish(measurement_id, verdict, reasons, summarise(runs, subject.emulated))


def rows_in(path, table):
    db = sqlite3.connect(path)
    try:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        db.close()


def test_what_was_stored_comes_back(store):
    runs = [a_run(index, [5.0, 5.5, 6.0]) for index in range(3)]
    stored = store_one(store, runs=runs, verdict=Verdict.INVALID, reasons=("throttled", "too few"))
    found = store.get(stored.id)
    assert found == replace(stored, runs=tuple(runs))
    assert found.subject == a_subject()
    assert found.summary == summarise(runs, emulated=False)
    assert found.reasons == ("throttled", "too few")


def test_counts_of_an_emulated_device_come_back(store):
    stored = store_one(store, a_subject(emulated=True), [a_counted_run(index) for index in range(3)])
    assert store.get(stored.id).runs[0].instructions == (70_100_347,) * 3
    assert stored.summary.insns_per_call == 70_100_347


@settings(max_examples=40, deadline=None)
@given(subjects(), st.lists(process_runs(), max_size=3))
def test_any_subject_and_any_run_comes_back_as_it_was(subject, runs):
    runs = [replace(run, index=index) for index, run in enumerate(runs)]
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "m.sqlite") as store:
        measurement_id = store.begin(subject)
        for run in runs:
            store.add_run(measurement_id, run)
        store.finish(measurement_id, Verdict.VALID)
        found = store.get(measurement_id)
        assert found.subject == subject
        assert found.runs == tuple(runs)
        assert store.finished(subject.key).id == measurement_id


def test_an_error_that_is_no_number_becomes_infinite(store):
    wrong = a_run(output_max_abs_err=float("nan"), outputs_match=False)
    measurement_id = store.begin(a_subject())
    store.add_run(measurement_id, wrong)
    summary = Summary(samples=30, output_max_abs_err=float("nan"))
    found = store.finish(measurement_id, Verdict.INVALID, ("outputs differ",), summary)
    assert found.summary.output_max_abs_err == float("inf")
    assert store.runs(found.id)[0].output_max_abs_err == float("inf")


def test_a_failure_is_stored_with_its_words(store):
    failed = store.add_failure(a_subject(runtime="tvm"), a_failure())
    assert (failed.verdict, failed.failure) == (Verdict.FAILED, a_failure())
    assert store.finished(failed.subject.key) == failed


def test_a_failure_after_some_runs_keeps_them(store):
    measurement_id = store.begin(a_subject())
    store.add_run(measurement_id, a_run(0))
    store.finish(measurement_id, Verdict.FAILED, ("crashed",), failure=a_failure())
    assert len(store.get(measurement_id).runs) == 1


def test_what_was_only_begun_is_not_in_the_file(store, path):
    store.begin(a_subject())
    assert rows_in(path, "measurement") == 0


def test_a_run_is_on_disk_when_add_run_returns(store, path):
    store.add_run(store.begin(a_subject()), a_run())
    assert (rows_in(path, "measurement"), rows_in(path, "run")) == (1, 1)


def test_what_is_unfinished_is_no_result_and_can_go_on(store):
    subject = a_subject()
    measurement_id = store.begin(subject)
    store.add_run(measurement_id, a_run(0))
    assert store.query() == [] and store.finished(subject.key) is None
    assert store.unfinished(subject.key) == (measurement_id, [a_run(0)])
    store.add_run(measurement_id, a_run(1))
    store.finish(measurement_id, Verdict.VALID)
    assert store.unfinished(subject.key) is None
    assert len(store.get(measurement_id).runs) == 2


def test_another_session_goes_on_with_what_was_left(path):
    with Store.open(path) as first:
        measurement_id = first.begin(a_subject())
        first.add_run(measurement_id, a_run(0))
    with Store.open(path) as second:
        assert second.unfinished(a_subject().key) == (measurement_id, [a_run(0)])
        second.add_run(measurement_id, a_run(1))
        assert second.finish(measurement_id, Verdict.VALID).id == measurement_id


def test_what_a_living_store_is_measuring_is_not_given_to_another(path):
    with Store.open(path) as first, Store.open(path) as second:
        measurement_id = first.begin(a_subject())
        first.add_run(measurement_id, a_run(0))
        assert second.unfinished(a_subject().key) is None
        Store.open(path).close()  # whoever else comes and goes does not free it
        assert second.unfinished(a_subject().key) is None
        first.close()
        assert second.unfinished(a_subject().key)[0] == measurement_id


def test_what_was_left_a_day_ago_is_left_alone(store, monkeypatch):
    store.add_run(store.begin(a_subject()), a_run())
    monkeypatch.setattr(store_module, "RESUMED_WITHIN", timedelta(seconds=-5))
    assert store.unfinished(a_subject().key) is None


def test_a_process_killed_while_measuring_loses_nothing_that_it_had_stored(path):
    script = (
        "import sys, time; from pathlib import Path; from hwloop.store import Store\n"
        "from hwloop.testing.records import a_run, a_subject\n"
        "store = Store.open(Path(sys.argv[1])); id = store.begin(a_subject())\n"
        "for index in range(2): store.add_run(id, a_run(index))\n"
        "print(id, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True) as victim:
        measurement_id = victim.stdout.readline().strip()
        with Store.open(path) as store:
            assert store.unfinished(a_subject().key) is None  # its owner lives
            victim.send_signal(signal.SIGKILL)
            victim.wait(timeout=10)
            assert store.unfinished(a_subject().key) == (measurement_id, [a_run(0), a_run(1)])


@pytest.mark.parametrize("table", ["measurement", "run", "outcome"])
@pytest.mark.parametrize("change", ["UPDATE {} SET rowid = rowid", "DELETE FROM {}"])
def test_nothing_stored_can_be_changed_even_by_hand(store, path, table, change):
    store_one(store)
    db = sqlite3.connect(path)
    column = {"measurement": "model", "run": "steady", "outcome": "samples"}[table]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(change.format(table).replace("rowid", column))
    db.close()


def test_a_finished_measurement_takes_no_more_runs(store):
    done = store_one(store)
    with pytest.raises(StoreError, match="finished"):
        store.add_run(done.id, a_run(3))
    with pytest.raises(StoreError):
        store.finish(done.id, Verdict.VALID)


def test_a_process_is_not_counted_twice(store):
    measurement_id = store.begin(a_subject())
    store.add_run(measurement_id, a_run(0))
    with pytest.raises(StoreError, match="another process measures the same"):
        store.add_run(measurement_id, a_run(0))
    assert store.runs(measurement_id) == [a_run(0)]


def test_a_run_of_nothing_is_refused(store, path):
    with pytest.raises(StoreError):
        store.add_run("0" * 20, a_run())
    assert rows_in(path, "run") == 0


def test_a_failed_verdict_needs_a_failure(store, path):
    with pytest.raises(StoreError):
        store.finish(store.begin(a_subject()), Verdict.FAILED)
    assert rows_in(path, "measurement") == 0


def test_the_newest_of_the_same_is_found(store):
    store_one(store)
    newest = store_one(store, verdict=Verdict.INVALID, reasons=("x",))
    assert store.finished(a_subject().key) == newest
    assert store.finished("0" * 64) is None


def test_filters(store):
    for device in ("local", "rpi4"):
        for model in ("magika", "minilm"):
            store_one(store, a_subject(device=device, model=model))
    store.add_failure(a_subject(runtime="tvm"), a_failure())

    def found(**filters):
        return [(one.subject.model, one.subject.device) for one in store.query(Filters(**filters))]

    assert len(found()) == 5
    assert found(devices=["rpi4"]) == [("minilm", "rpi4"), ("magika", "rpi4")]
    assert found(devices=["rpi4"], models=["mag*"]) == [("magika", "rpi4")]
    magika = a_subject(model="magika").artifact_digest
    assert found(artifacts=[magika, "0" * 64]) == [("magika", "rpi4"), ("magika", "local")]
    assert found(models=["min*", "nothing"]) == [("minilm", "rpi4"), ("minilm", "local")]
    assert found(runtimes=["tvm"]) == found(verdicts=[Verdict.FAILED]) == [("magika", "local")]
    assert found(devices=["nowhere"]) == []
    assert len(found(limit=2)) == 2
    now = datetime.now(UTC)
    assert len(found(since=now - timedelta(hours=1))) == 5 == len(found(until=now + timedelta(hours=1)))
    assert found(since=now + timedelta(hours=1)) == found(until=now - timedelta(hours=1)) == []


def test_the_latest_of_the_same_only(store):
    store_one(store)
    newest = store_one(store)
    other = store_one(store, a_subject(model="other"))
    store.add_run(store.begin(a_subject()), a_run())  # unfinished: hides nothing
    assert [one.id for one in store.query(Filters(latest_only=True))] == [other.id, newest.id]
    assert len(store.query()) == 3


def test_failed_builds_of_two_models_do_not_hide_each_other(store):
    for model in ("one", "other"):
        store.add_failure(a_subject(model=model, artifact_digest=""), a_failure())
    assert len(store.query(Filters(latest_only=True))) == 2


def test_a_query_has_runs_only_when_asked(store):
    store_one(store)
    assert store.query()[0].runs == ()
    assert len(store.query(with_runs=True)[0].runs) == 3


def test_an_id_may_be_cut_short_where_it_stays_unique(store):
    one, two = store_one(store), store_one(store)
    assert store.get(one.id[:12]).id == one.id
    with pytest.raises(UsageError, match="several") as error:
        store.get(one.id[:3])
    assert two.id in error.value.remedy
    with pytest.raises(UsageError, match="no finished measurement"):
        store.get("ffff")


def test_threads_write_at_once(store):
    def work(device):
        for _ in range(10):
            store_one(store, a_subject(device=device))

    threads = [threading.Thread(target=work, args=(f"board-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.query(with_runs=True)
    assert len(found) == 60 and all(len(one.runs) == 3 for one in found)


def test_processes_write_at_once_into_a_store_that_none_had_made(path):
    script = (
        "import sys; from pathlib import Path\n"
        "from hwloop.records import Verdict; from hwloop.store import Store\n"
        "from hwloop.testing.records import a_run, a_subject\n"
        "with Store.open(Path(sys.argv[1])) as store:\n"
        "    for number in range(20):\n"
        "        id = store.begin(a_subject(device=sys.argv[2])); store.add_run(id, a_run())\n"
        "        store.finish(id, Verdict.VALID)\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    writers = [subprocess.Popen([*command, f"board-{number}"], env=os.environ) for number in range(4)]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 4
    with Store.open(path) as store:
        assert len({one.id for one in store.query()}) == 80
