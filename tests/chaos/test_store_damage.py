"""A store that is locked, cut short or damaged: the right data, or a StoreError that says what to do; never another."""

from __future__ import annotations

import random
import sqlite3
import threading
import time

import pytest

from hwloop.errors import StoreError
from hwloop.records import Failure, FailureKind, Summary, Verdict
from hwloop.store.store import Store
from hwloop.testing.records import a_run, a_subject

PAGE_BYTES = 4096


def fill(path):
    """Write measurements of several kinds, and return what reading gives back."""
    with Store.open(path) as store:
        for number in range(10):
            dice = random.Random(number)
            begun = store.begin(a_subject(model=f"model {number}"))
            for index in range(3):
                store.add_run(begun, a_run(index, [dice.uniform(1, 9) for _ in range(100)]))
            store.finish(begun, Verdict.VALID, (), Summary(samples=300))
        store.add_failure(a_subject(model="broken"), Failure(FailureKind.UNSUPPORTED, "no LSTM", "detail"))
        return store.query(with_runs=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store that was closed: its file's bytes, and its measurements."""
    path = tmp_path_factory.mktemp("whole") / "store.db"
    measurements = fill(path)
    return path.read_bytes(), measurements


def truncated(content, dice):
    return content[: dice.randrange(1, len(content))]


def overwritten(content, dice):
    start = dice.randrange(len(content))
    return content[:start] + dice.randbytes(PAGE_BYTES) + content[start + PAGE_BYTES :]


def zeroed(content, dice):
    page = dice.randrange(len(content) // PAGE_BYTES) * PAGE_BYTES
    return content[:page] + bytes(PAGE_BYTES) + content[page + PAGE_BYTES :]


def flipped(content, dice):
    place = dice.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << dice.randrange(8)]) + content[place + 1 :]


def check(whole, folder, fault, damage, seed):
    content, measurements = whole
    path = folder / f"{seed}.db"
    path.write_bytes(damage(content, random.Random(seed)))
    with fault(f"store {damage.__name__}", seed):
        try:
            with Store.open(path, busy_s=0.5) as store:
                found = store.query(with_runs=True)
                one_by_one = [store.get(wanted.id) for wanted in measurements]
        except StoreError as error:
            assert str(path) in str(error)
            assert error.remedy
        else:
            assert found == measurements
            assert one_by_one == measurements


@pytest.mark.parametrize("damage", [truncated, overwritten, zeroed], ids=lambda it: it.__name__)
def test_a_store_that_lost_pieces(whole, tmp_path, fault, damage):
    for seed in range(34):
        check(whole, tmp_path, fault, damage, seed)


def test_a_log_that_is_cut_short(tmp_path, fault):
    """As after a power cut: what was finished before the cut is there, to the sample."""
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        for number in range(5):
            store.add_failure(a_subject(model=f"model {number}"), Failure(FailureKind.CRASH, "x", "y"))
        everything = store.query(with_runs=True)
        copies = {name: path.with_name(name).read_bytes() for name in ("store.db", "store.db-wal")}
    for seed in range(16):
        dice = random.Random(seed)
        copy = tmp_path / f"copy{seed}.db"
        copy.write_bytes(copies["store.db"])
        log = copies["store.db-wal"]
        log = truncated(log, dice) if seed % 2 else flipped(log, dice)
        copy.with_name(f"{copy.name}-wal").write_bytes(log)
        with fault("store's log cut short", seed), Store.open(copy) as store:
            found = store.query(with_runs=True)
            assert found == everything[len(everything) - len(found) :]
            store.add_failure(a_subject(model="after"), Failure(FailureKind.CRASH, "x", "y"))


@pytest.mark.parametrize("content", [b"", b"\n", b"SQLite format 3\0", b"not a store at all" * 1000])
def test_a_file_that_never_was_a_store(tmp_path, fault, content):
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with fault("store: another file"):
        try:
            Store.open(path).close()
        except StoreError as error:
            assert error.remedy
            assert path.read_bytes() == content


def test_a_store_that_another_process_holds_for_long(tmp_path, fault):
    """Writers wait as long as they are told, then say so; readers need not wait at all; a short hold costs nothing."""
    path = tmp_path / "store.db"
    measurements = fill(path)
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with Store.open(path, busy_s=0.5) as store:
        holder.execute("BEGIN IMMEDIATE")
        with fault("store locked for long", within_s=20):
            with pytest.raises(StoreError, match="in use") as caught:
                store.add_failure(a_subject(), Failure(FailureKind.CRASH, "x", "y"))
            assert "fuser" in caught.value.remedy
            assert store.query(with_runs=True) == measurements
        holder.execute("ROLLBACK")
    with Store.open(path, busy_s=20) as store:
        holder.execute("BEGIN IMMEDIATE")
        release = threading.Timer(1, lambda: holder.execute("ROLLBACK"))
        release.start()
        with fault("store locked for a while"):
            started_s = time.monotonic()
            store.add_failure(a_subject(), Failure(FailureKind.CRASH, "x", "y"))
            assert time.monotonic() - started_s > 0.5
        release.join()
        assert len(store.query()) == len(measurements) + 1
    holder.close()


def test_a_store_that_another_process_holds_from_the_start(tmp_path, fault):
    path = tmp_path / "store.db"
    fill(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    with fault("store locked for long", within_s=20), pytest.raises(StoreError, match="in use"):
        Store.open(path, busy_s=0.5).close()
    holder.close()
