"""Opens the file of the store; here alone SQLite's errors become StoreError."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.errors import StoreError
from hwloop.store.migrations import migrate

OLDEST_SQLITE = (3, 37, 0)  # the first with STRICT tables
ELSEWHERE = "Name another file in HWLOOP_STORE"

# What SQLite says, what it means here, what to do.
MEANINGS = (
    ("locked", "it was in use by another process for too long", "Try again, or see who holds it: fuser FILE"),
    ("not a database", "it is no SQLite database", f"{ELSEWHERE}; nothing was changed in this one."),
    (
        "malformed",
        "it is damaged",
        f"Save what it still has (sqlite3 FILE .recover), or move it away. {ELSEWHERE}.",
    ),
    ("readonly", "it is read-only", f"Make the file and its folder writable, or: {ELSEWHERE}."),
    (
        "unable to open",
        "it cannot be opened",
        f"Check the rights of the file and of its folder, or: {ELSEWHERE}.",
    ),
    ("is full", "the disk is full", f"Free some space, or: {ELSEWHERE}."),
    ("disk I/O", "the disk does not read or write it", f"Check the disk. {ELSEWHERE} on another one."),
    ("UNIQUE constraint", "another process measures the same at this moment", "Wait for it, then try again."),
    ("append-only", "what is stored is never changed", ""),
    ("is finished", "a finished measurement takes no more runs", ""),
)


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Raise StoreError, naming `path` and a remedy, for what SQLite raises within."""
    try:
        yield
    except sqlite3.Error as error:
        for words, meaning, remedy in MEANINGS:
            if words in str(error):
                raise StoreError(f"{path}: {meaning}", remedy=remedy.replace("FILE", str(path))) from error
        raise StoreError(f"{path}: {error}", remedy=f"{ELSEWHERE}.") from error
    except StoreError as error:
        if str(path) in str(error):
            raise
        raise StoreError(f"{path}: {error}", remedy=error.remedy) from error


def connect(path: Path, busy_s: float) -> sqlite3.Connection:
    """Open the file at its newest version, making it and its folder where there is none.

    A lock of another process is waited for up to `busy_s`.

    Raises:
        StoreError: the file cannot be used; the message says why.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(
            f"this Python has SQLite {sqlite3.sqlite_version}, 3.37 is the oldest that works",
            remedy="Use a newer Python.",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path}: its folder cannot be made ({error.strerror})",
            remedy=f"{ELSEWHERE}, in a folder of yours.",
        ) from error
    with clear_errors(path):
        db = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA recursive_triggers = ON")  # else INSERT OR REPLACE deletes unseen
            db.execute("PRAGMA synchronous = NORMAL")
            migrate(db)
            _use_wal(db, Deadline.after(busy_s))
        except BaseException:
            db.close()
            raise
    return db


def _use_wal(db: sqlite3.Connection, deadline: Deadline) -> None:
    """Turn on the write-ahead log; SQLite itself does not wait when two processes do so at once."""
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or deadline.expired:
                raise
            time.sleep(0.02)
