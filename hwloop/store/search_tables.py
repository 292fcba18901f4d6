"""The tables of searches: a step of `hwloop.store.migrations`."""

from __future__ import annotations

import sqlite3


def search_tables(db: sqlite3.Connection) -> None:
    """Searches, each batch of theirs once it is measured, what came of them; and accuracies by what they depend on."""
    for statement in (
        """
        CREATE TABLE search (
            id TEXT PRIMARY KEY, key TEXT NOT NULL, created_at TEXT NOT NULL,
            request TEXT NOT NULL CHECK (json_valid(request))
        ) STRICT
        """,
        """
        CREATE TABLE search_batch (
            search_id TEXT NOT NULL REFERENCES search (id), idx INTEGER NOT NULL,
            trials TEXT NOT NULL CHECK (json_valid(trials)), PRIMARY KEY (search_id, idx)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE search_end (
            search_id TEXT PRIMARY KEY REFERENCES search (id), finished_at TEXT NOT NULL,
            outcome TEXT NOT NULL CHECK (json_valid(outcome))
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE accuracy (
            key TEXT PRIMARY KEY, created_at TEXT NOT NULL, value REAL NOT NULL,
            about TEXT NOT NULL CHECK (json_valid(about))
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX search_by_key ON search (key, id)",
        """
        CREATE TRIGGER batch_after_end BEFORE INSERT ON search_batch
        WHEN EXISTS (SELECT 1 FROM search_end WHERE search_id = NEW.search_id)
        BEGIN SELECT RAISE(ABORT, 'the search is finished'); END
        """,
        *(
            f"""
            CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}
            BEGIN SELECT RAISE(ABORT, 'the store is append-only'); END
            """
            for table in ("search", "search_batch", "search_end", "accuracy")
            for change in ("UPDATE", "DELETE")
        ),
    ):
        db.execute(statement)
