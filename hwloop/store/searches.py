"""Searches in the store: a batch is on disk as soon as it was measured and judged."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hwloop.digests import digest_json
from hwloop.errors import UsageError
from hwloop.records.search import StoredSearch, Trial
from hwloop.store.ids import created_at, new_id
from hwloop.store.store import Store

ALL = "SELECT s.id, s.created_at, s.request, e.outcome FROM search AS s LEFT JOIN search_end AS e ON e.search_id = s.id"


class Searches:
    """The searches of a store; errors as the store's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def resume(self, request: Mapping[str, Any]) -> StoredSearch:
        """Return the newest unfinished search that was asked for in the same words, or begin a new one.

        It belongs to this store until it is finished or the store is closed.
        """
        sql = f"{ALL} WHERE s.key = ? AND e.search_id IS NULL ORDER BY s.id DESC"
        for row in self._store.read(sql, [digest_json(request)]):
            if self._store.claim(row["id"]):
                return self._search(row)
        return self._begin(request)

    def _begin(self, request: Mapping[str, Any]) -> StoredSearch:
        search_id = new_id()
        self._store.claim(search_id)
        began = created_at(search_id)
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO search (id, key, created_at, request) VALUES (?, ?, ?, ?)",
                [search_id, digest_json(request), began, json.dumps(request)],
            )
        return StoredSearch(search_id, began, dict(request), ())

    def add_batch(self, search_id: str, index: int, trials: Sequence[Trial]) -> None:
        """Add a batch to a search that is not finished."""
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO search_batch (search_id, idx, trials) VALUES (?, ?, ?)",
                [search_id, index, json.dumps([trial.as_json() for trial in trials])],
            )

    def finish(self, search_id: str, outcome: Mapping[str, Any]) -> None:
        """Close a search with what came of it."""
        finished_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO search_end (search_id, finished_at, outcome) VALUES (?, ?, ?)",
                [search_id, finished_at, json.dumps(outcome)],
            )
        self._store.release(search_id)

    def all(self) -> list[StoredSearch]:
        """Return every search, newest first."""
        return [self._search(row) for row in self._store.read(f"{ALL} ORDER BY s.id DESC", [])]

    def get(self, prefix: str) -> StoredSearch:
        """Return the search whose id begins with `prefix`.

        Raises:
            UsageError: none has, or several have.
        """
        wanted = prefix.strip().lower()
        found = self._store.read(f"{ALL} WHERE s.id >= ? AND s.id < ?", [wanted, wanted + "g"])
        if len(found) != 1:
            count = "several searches have ids that begin" if found else "no search has an id that begins"
            raise UsageError(f"{count} with {prefix!r}", remedy="hwloop search --list shows them.")
        return self._search(found[0])

    # ── accuracies ──

    def accuracy(self, about: Mapping[str, Any]) -> float | None:
        """Return an accuracy by all that it depends on, or None where there is none yet."""
        found = self._store.read("SELECT value FROM accuracy WHERE key = ?", [digest_json(about)])
        return float(found[0]["value"]) if found else None

    def add_accuracy(self, about: Mapping[str, Any], value: float) -> None:
        """Keep an accuracy; one that is there stays."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO accuracy (key, created_at, value, about) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [digest_json(about), now, value, json.dumps(about)],
            )

    def _search(self, row: sqlite3.Row) -> StoredSearch:
        sql = "SELECT trials FROM search_batch WHERE search_id = ? ORDER BY idx"
        batches = [self._store.parsed(_batch, one) for one in self._store.read(sql, [row["id"]])]
        outcome = json.loads(row["outcome"]) if row["outcome"] else None
        return StoredSearch(row["id"], row["created_at"], json.loads(row["request"]), tuple(batches), outcome)


def _batch(row: sqlite3.Row) -> tuple[Trial, ...]:
    return tuple(Trial.from_json(one) for one in json.loads(row["trials"]))
