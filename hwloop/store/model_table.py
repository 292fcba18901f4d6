"""The table of models: a step of `hwloop.store.migrations`."""

from __future__ import annotations

import sqlite3


def model_table(db: sqlite3.Connection) -> None:
    """What is known of each model, by its digest and the digest of its inputs, whose sizes decide what it costs."""
    for statement in (
        """
        CREATE TABLE model (
            digest TEXT NOT NULL, inputs_digest TEXT NOT NULL, name TEXT NOT NULL,
            kernels TEXT NOT NULL CHECK (json_valid(kernels)), costs TEXT NOT NULL CHECK (json_valid(costs)),
            candidate TEXT CHECK (candidate IS NULL OR json_valid(candidate)),
            PRIMARY KEY (digest, inputs_digest)
        ) STRICT
        """,
        *(
            f"""
            CREATE TRIGGER model_no_{change.lower()} BEFORE {change} ON model
            BEGIN SELECT RAISE(ABORT, 'the store is append-only'); END
            """
            for change in ("UPDATE", "DELETE")
        ),
        "CREATE INDEX measurement_by_model_digest ON measurement (model_digest, inputs_digest)",
    ):
        db.execute(statement)
