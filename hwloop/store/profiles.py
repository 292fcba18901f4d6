"""Profiles in the store."""

from __future__ import annotations

import json
import sqlite3

from hwloop.records import KernelCost, Profile, StoredProfile
from hwloop.store.ids import created_at, new_id
from hwloop.store.store import Store


class Profiles:
    """The profiles of a store; errors as the store's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, profile: Profile) -> StoredProfile:
        """Keep a profile and return it as it is kept."""
        stored = StoredProfile(profile_id := new_id(), created_at(profile_id), profile)
        values = [
            stored.id,
            stored.created_at,
            profile.model,
            profile.model_digest,
            profile.device,
            profile.runtime,
            json.dumps(profile.as_json()),
        ]
        with self._store.transaction() as db:
            db.execute("INSERT INTO profile VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        return stored

    def all(self) -> list[StoredProfile]:
        """Return every profile, newest first."""
        found = self._store.read("SELECT id, created_at, found FROM profile ORDER BY id DESC", [])
        return [self._store.parsed(_profile, row) for row in found]


def _profile(row: sqlite3.Row) -> StoredProfile:
    found = json.loads(row["found"])
    kernels = tuple(KernelCost(**kernel) for kernel in found["kernels"])
    return StoredProfile(row["id"], row["created_at"], Profile(**{**found, "kernels": kernels}))
