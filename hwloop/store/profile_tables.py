"""The table of profiles: a step of `hwloop.store.migrations`."""

from __future__ import annotations

import sqlite3


def profile_tables(db: sqlite3.Connection) -> None:
    """Profiles of models on devices, kernel by kernel."""
    for statement in (
        """
        CREATE TABLE profile (
            id TEXT PRIMARY KEY, created_at TEXT NOT NULL, model TEXT NOT NULL, model_digest TEXT NOT NULL,
            device TEXT NOT NULL, runtime TEXT NOT NULL, found TEXT NOT NULL CHECK (json_valid(found))
        ) STRICT
        """,
        "CREATE INDEX profile_by_device ON profile (device, id)",
        *(
            f"""
            CREATE TRIGGER profile_no_{change.lower()} BEFORE {change} ON profile
            BEGIN SELECT RAISE(ABORT, 'the store is append-only'); END
            """
            for change in ("UPDATE", "DELETE")
        ),
    ):
        db.execute(statement)
