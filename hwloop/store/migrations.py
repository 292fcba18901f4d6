"""The tables of the store, as an append-only list of steps.

A file's `user_version` says how many steps it has seen. A step that was released is never changed: what
comes later is a step of its own at the end of `MIGRATIONS`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from hwloop.errors import StoreError
from hwloop.store.comparison_tables import comparison_tables
from hwloop.store.model_table import model_table
from hwloop.store.profile_tables import profile_tables
from hwloop.store.search_tables import search_tables

Migration = Callable[[sqlite3.Connection], None]

APPLICATION_ID = 0x68776C70  # "hwlp": tells our files from other programs' databases


def first_tables(db: sqlite3.Connection) -> None:
    """Measurements, their processes and their outcomes."""
    for statement in (
        """
        CREATE TABLE measurement (
            id TEXT PRIMARY KEY, key TEXT NOT NULL, created_at TEXT NOT NULL,
            model TEXT NOT NULL, model_digest TEXT NOT NULL,
            artifact_digest TEXT NOT NULL, artifact_bytes INTEGER NOT NULL, inputs_digest TEXT NOT NULL,
            device TEXT NOT NULL, device_identity TEXT NOT NULL,
            runtime TEXT NOT NULL, runtime_version TEXT NOT NULL,
            threads INTEGER NOT NULL, batch INTEGER NOT NULL, emulated INTEGER NOT NULL,
            protocol TEXT NOT NULL CHECK (json_valid(protocol))
        ) STRICT
        """,
        """
        CREATE TABLE run (
            measurement_id TEXT NOT NULL REFERENCES measurement (id), idx INTEGER NOT NULL,
            started_at TEXT NOT NULL, steady INTEGER NOT NULL, peak_rss_bytes INTEGER, load_ms REAL NOT NULL,
            outputs_digest TEXT NOT NULL, output_max_abs_err REAL, outputs_match INTEGER,
            before TEXT NOT NULL CHECK (json_valid(before)), after TEXT NOT NULL CHECK (json_valid(after)),
            samples_ns BLOB NOT NULL, warmup_ns BLOB NOT NULL, instructions BLOB NOT NULL,
            PRIMARY KEY (measurement_id, idx)
        ) STRICT
        """,
        """
        CREATE TABLE outcome (
            measurement_id TEXT PRIMARY KEY REFERENCES measurement (id), finished_at TEXT NOT NULL,
            verdict TEXT NOT NULL, reasons TEXT NOT NULL CHECK (json_valid(reasons)),
            samples INTEGER NOT NULL, median_ms REAL, ci95_low_ms REAL, ci95_high_ms REAL,
            p90_ms REAL, p90_upper_ms REAL, min_ms REAL, peak_rss_mb REAL,
            output_max_abs_err REAL, insns_per_call REAL,
            failure_kind TEXT, failure_message TEXT, failure_detail TEXT,
            CHECK ((verdict = 'FAILED') = (failure_kind IS NOT NULL))
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX measurement_by_key ON measurement (key, id)",
        "CREATE INDEX measurement_by_device ON measurement (device, id)",
        "CREATE INDEX measurement_by_model ON measurement (model, id)",
        "CREATE INDEX outcome_by_verdict ON outcome (verdict, measurement_id)",
        """
        CREATE TRIGGER run_after_outcome BEFORE INSERT ON run
        WHEN EXISTS (SELECT 1 FROM outcome WHERE measurement_id = NEW.measurement_id)
        BEGIN SELECT RAISE(ABORT, 'the measurement is finished'); END
        """,
        *(
            f"""
            CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}
            BEGIN SELECT RAISE(ABORT, 'the store is append-only'); END
            """
            for table in ("measurement", "run", "outcome")
            for change in ("UPDATE", "DELETE")
        ),
    ):
        db.execute(statement)


def verdict_columns(db: sqlite3.Connection) -> None:
    """What happened during the timed calls, the 99th percentile, and the limits that a verdict was given by."""
    for statement in (
        "ALTER TABLE run ADD COLUMN during TEXT CHECK (during IS NULL OR json_valid(during))",
        "ALTER TABLE outcome ADD COLUMN p99_ms REAL",
        "ALTER TABLE outcome ADD COLUMN p99_upper_ms REAL",
        "ALTER TABLE outcome ADD COLUMN limits TEXT CHECK (limits IS NULL OR json_valid(limits))",
    ):
        db.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (
    first_tables,
    comparison_tables,
    verdict_columns,
    model_table,
    search_tables,
    profile_tables,
)


def migrate(db: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a file to the newest version, all or nothing.

    Raises:
        StoreError: the file is of a newer hwloop, or of another program.
    """
    if _version(db, migrations) == len(migrations):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have migrated while this one waited for the lock.
        for number in range(_version(db, migrations), len(migrations)):
            migrations[number](db)
            db.execute(f"PRAGMA user_version = {number + 1}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _version(db: sqlite3.Connection, migrations: Sequence[Migration]) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    owner = int(db.execute("PRAGMA application_id").fetchone()[0])
    empty = db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None
    if owner != APPLICATION_ID and not (empty and version == 0):
        raise StoreError(
            "this is a database of another program",
            remedy="Name another file in HWLOOP_STORE; nothing was changed in this one.",
        )
    if version > len(migrations):
        raise StoreError(
            f"the file is of version {version}, this hwloop knows up to {len(migrations)}",
            remedy="Upgrade hwloop, or name another file in HWLOOP_STORE.",
        )
    return version
