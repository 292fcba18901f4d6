"""Steps are taken once, in order, each whole or not at all."""

import json
import sqlite3
from dataclasses import replace

import pytest

from hwloop.errors import StoreError
from hwloop.records import Conditions, Costs, Limits, ModelFacts, Summary, Verdict
from hwloop.store import Filters, Models, Store
from hwloop.store.ids import new_id
from hwloop.store.migrations import APPLICATION_ID, MIGRATIONS, migrate
from hwloop.store.rows import outcome_row, run_row, subject_row
from hwloop.testing.records import a_run, a_subject


@pytest.fixture
def db(tmp_path):
    opened = sqlite3.connect(tmp_path / "m.sqlite", isolation_level=None)
    yield opened
    opened.close()


def add_note(db):
    db.execute("CREATE TABLE note (text TEXT) STRICT")
    db.execute("INSERT INTO note VALUES ('hello')")


def fail_half_way(db):
    db.execute("CREATE TABLE half (text TEXT) STRICT")
    raise sqlite3.OperationalError("the second half did not work")


def version(db):
    return db.execute("PRAGMA user_version").fetchone()[0]


def rows_of_the_first_version():
    """A finished measurement as the first version wrote it."""
    measurement_id = new_id()
    measurement = subject_row(measurement_id, "2026-01-01T12:00:00.000+00:00", a_subject())
    run = run_row(measurement_id, a_run())
    del run["during"]
    for moment in ("before", "after"):
        found = json.loads(run[moment])
        kept = ("governor", "frequencies_mhz", "temperature_c", "throttled", "load_1min", "memory_available_bytes")
        run[moment] = json.dumps({name: found[name] for name in kept})
    summary = Summary(samples=30, median_ms=5.0)
    outcome = outcome_row(measurement_id, "2026-01-01T12:00:09.000+00:00", Verdict.VALID, (), summary, None, None)
    for name in ("p99_ms", "p99_upper_ms", "limits"):
        del outcome[name]
    return {"measurement": measurement, "run": run, "outcome": outcome}


def test_an_empty_file_gets_every_step(db):
    migrate(db)
    assert version(db) == len(MIGRATIONS)
    assert db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert {"measurement", "run", "outcome", "model"} <= tables


def test_every_table_is_strict(db):
    migrate(db)
    assert all(strict for *_, strict in db.execute("PRAGMA table_list('measurement')"))
    for table in ("measurement", "run", "outcome"):
        assert "STRICT" in db.execute("SELECT sql FROM sqlite_schema WHERE name = ?", [table]).fetchone()[0]


def test_an_old_file_gets_the_steps_that_it_lacks_and_keeps_its_rows(db):
    migrate(db)
    migrate(db, (*MIGRATIONS, add_note))
    assert version(db) == len(MIGRATIONS) + 1
    migrate(db, (*MIGRATIONS, add_note))
    assert db.execute("SELECT text FROM note").fetchall() == [("hello",)]


def test_a_file_of_the_first_version_is_read_queried_and_goes_on_growing(tmp_path, db):
    migrate(db, MIGRATIONS[:1])
    old = rows_of_the_first_version()
    for table, row in old.items():
        marks = ", ".join("?" * len(row))
        db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
    with Store.open(tmp_path / "m.sqlite") as store:
        (found,) = store.query(Filters(devices=["local"]), with_runs=True)
        assert (found.id, found.verdict, found.summary.median_ms) == (old["measurement"]["id"], Verdict.VALID, 5.0)
        assert (found.summary.p99_ms, found.limits) == (None, None)
        (run,) = found.runs
        assert run.before.temperature_c == 48.5
        assert (run.before.busy_s, run.during) == (None, Conditions())
        assert store.finished(found.subject.key) == replace(found, runs=())

        again = store.begin(found.subject)
        store.add_run(again, a_run())
        summary = Summary(samples=30, median_ms=5.0, p99_ms=7.0, p99_upper_ms=8.0)
        stored = store.finish(again, Verdict.VALID, (), summary, limits=Limits(foreign_load=0.2))
        assert store.get(again) == replace(stored, runs=(a_run(),))
        assert (stored.summary, stored.limits) == (summary, Limits(foreign_load=0.2))


@pytest.mark.parametrize("steps", range(1, len(MIGRATIONS)))
def test_a_file_of_any_version_takes_models(tmp_path, db, steps):
    migrate(db, MIGRATIONS[:steps])
    with Store.open(tmp_path / "m.sqlite") as store:
        facts = ModelFacts("digest", "inputs", "m", Costs(1, 4, 9, 8, ()))
        Models(store).add([facts])
        assert Models(store).get("digest") == facts


def test_a_step_that_fails_leaves_the_file_as_it_was(db):
    migrate(db)
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, (*MIGRATIONS, add_note, fail_half_way))
    assert version(db) == len(MIGRATIONS)
    assert db.execute("SELECT 1 FROM sqlite_schema WHERE name IN ('note', 'half')").fetchall() == []


def test_a_newer_file_is_refused_unchanged(db):
    migrate(db, (*MIGRATIONS, add_note))
    with pytest.raises(StoreError, match=rf"version {len(MIGRATIONS) + 1}, this hwloop knows up to {len(MIGRATIONS)}"):
        migrate(db)
    assert version(db) == len(MIGRATIONS) + 1
