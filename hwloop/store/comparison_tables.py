"""The tables of comparisons: a step of `hwloop.store.migrations`."""

from __future__ import annotations

import sqlite3


def comparison_tables(db: sqlite3.Connection) -> None:
    """Comparisons, their sets and what they showed."""
    for statement in (
        """
        CREATE TABLE comparison (
            id TEXT PRIMARY KEY, key TEXT NOT NULL, created_at TEXT NOT NULL, device TEXT NOT NULL,
            subject TEXT NOT NULL CHECK (json_valid(subject))
        ) STRICT
        """,
        """
        CREATE TABLE comparison_set (
            comparison_id TEXT NOT NULL REFERENCES comparison (id), idx INTEGER NOT NULL,
            notes TEXT NOT NULL CHECK (json_valid(notes)), samples BLOB NOT NULL,
            PRIMARY KEY (comparison_id, idx)
        ) STRICT
        """,
        """
        CREATE TABLE judgement (
            comparison_id TEXT PRIMARY KEY REFERENCES comparison (id), finished_at TEXT NOT NULL,
            finding TEXT NOT NULL, ratio REAL, notes TEXT NOT NULL CHECK (json_valid(notes))
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX comparison_by_key ON comparison (key, id)",
        """
        CREATE TRIGGER set_after_judgement BEFORE INSERT ON comparison_set
        WHEN EXISTS (SELECT 1 FROM judgement WHERE comparison_id = NEW.comparison_id)
        BEGIN SELECT RAISE(ABORT, 'the comparison is finished'); END
        """,
        *(
            f"""
            CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}
            BEGIN SELECT RAISE(ABORT, 'the store is append-only'); END
            """
            for table in ("comparison", "comparison_set", "judgement")
            for change in ("UPDATE", "DELETE")
        ),
    ):
        db.execute(statement)
