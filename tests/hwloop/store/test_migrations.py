"""Steps are taken once, in order, each whole or not at all."""

import sqlite3

import pytest

from hwloop.errors import StoreError
from hwloop.store.migrations import APPLICATION_ID, MIGRATIONS, migrate


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


def test_an_empty_file_gets_every_step(db):
    migrate(db)
    assert version(db) == len(MIGRATIONS)
    assert db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert {"measurement", "run", "outcome"} <= tables


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
