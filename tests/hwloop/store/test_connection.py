"""A file that cannot be the store is refused with its path, the reason and a remedy; and stays as it was."""

import os
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

import pytest

from hwloop.errors import StoreError
from hwloop.records import Verdict
from hwloop.store import Store
from hwloop.testing.records import a_run, a_subject

NOBODY = 65534


@pytest.fixture
def path(tmp_path):
    return tmp_path / "measurements.sqlite"


@pytest.fixture
def unprivileged():
    """Give a folder that an unprivileged user owns, and be that user where this one is root."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o700)
    shutil.rmtree(folder)


def refusal(path, **options):
    with pytest.raises(StoreError) as caught:
        Store.open(path, **options).close()
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    return str(caught.value)


def fill(path, measurements=20):
    with Store.open(path) as store:
        for _ in range(measurements):
            measurement_id = store.begin(a_subject())
            store.add_run(measurement_id, a_run(samples_ms=[5.0] * 500))
            store.finish(measurement_id, Verdict.VALID)


def test_the_folder_is_made_with_the_file(tmp_path):
    Store.open(tmp_path / "a" / "b" / "m.sqlite").close()
    assert (tmp_path / "a" / "b" / "m.sqlite").is_file()


def test_a_file_that_is_no_database(path):
    path.write_text("model,median_ms\n" * 300)
    before = path.read_bytes()
    assert "no SQLite database" in refusal(path)
    assert path.read_bytes() == before


def test_a_database_of_another_program(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()
    before = path.read_bytes()
    assert "another program" in refusal(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version(path):
    fill(path, 1)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert "version 99" in refusal(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file(path, share):
    fill(path)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    assert "damaged" in refusal(path)


def test_a_page_overwritten_with_garbage_is_named_when_it_is_read(path):
    fill(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreError, match="damaged"), Store.open(path) as store:
        store.query()


def test_a_folder_in_the_place_of_the_file(path):
    path.mkdir()
    assert "cannot be opened" in refusal(path)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    assert "folder cannot be made" in refusal(tmp_path / "file" / "m.sqlite")


def test_a_folder_that_cannot_be_made():
    assert "folder cannot be made" in refusal(Path("/proc/hwloop/m.sqlite"))


def test_a_folder_that_cannot_be_written(unprivileged):
    unprivileged.chmod(0o500)
    assert "cannot be opened" in refusal(unprivileged / "m.sqlite")


def test_a_file_that_cannot_be_written(unprivileged):
    path = unprivileged / "m.sqlite"
    fill(path, 1)
    path.chmod(0o400)
    with pytest.raises(StoreError, match="read-only") as caught, Store.open(path) as store:
        store.add_run(store.begin(a_subject()), a_run())
    assert caught.value.remedy


def test_a_file_locked_by_another_is_waited_for_and_then_named(path):
    fill(path, 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store.open(path, busy_s=0.3) as store:
        assert len(store.query()) == 1  # reading does not wait
        start = time.monotonic()
        with pytest.raises(StoreError, match="in use by another process"):
            store.add_run(store.begin(a_subject()), a_run())
        assert 0.25 <= time.monotonic() - start < 20
        other.execute("COMMIT")
        other.close()
        store.add_run(store.begin(a_subject()), a_run())


def test_a_file_locked_while_it_is_made(path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert "in use by another process" in refusal(path, busy_s=0.2)
    other.close()


def test_a_full_disk(path):
    with Store.open(path) as store:
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="disk is full"):
            store.add_run(store.begin(a_subject()), a_run(samples_ms=[5.0] * 5000))
        assert store.query() == []
