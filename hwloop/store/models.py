"""What is known of the models that were measured; kernels that repeat stand in the file once a model."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import replace

from hwloop.records import Candidate, Costs, Kernel, ModelFacts, TrainingRow, Verdict
from hwloop.store.rows import Row, measurement_of
from hwloop.store.store import Store

TRAINING = (
    "SELECT m.*, o.*, f.* FROM measurement AS m"
    " JOIN outcome AS o ON o.measurement_id = m.id"
    " JOIN model AS f ON f.digest = m.model_digest AND f.inputs_digest = m.inputs_digest"
    " WHERE m.device_identity = ? AND m.runtime = ? AND m.runtime_version = ? AND m.threads = ? AND m.batch = ?"
    " AND o.verdict = ? ORDER BY m.id"
)


class Models:
    """The models of a store; errors as the store's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def known(self, pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of some pairs (digest of a model, digest of its inputs) that are in the store."""
        sql = "SELECT 1 FROM model WHERE digest = ? AND inputs_digest = ?"
        return {pair for pair in pairs if self._store.read(sql, pair)}

    def add(self, models: Sequence[ModelFacts]) -> None:
        """Add what is not there yet; of a model that is, the first facts stay."""
        names = ("digest", "inputs_digest", "name", "kernels", "costs", "candidate")
        marks = ", ".join(f":{name}" for name in names)
        with self._store.transaction() as db:
            db.executemany(
                f"INSERT INTO model ({', '.join(names)}) VALUES ({marks}) ON CONFLICT DO NOTHING",
                [_row(facts) for facts in models],
            )

    def get(self, digest: str) -> ModelFacts | None:
        """Return what is known of a model, with the inputs that were stored last; None if nothing is."""
        found = self._store.read("SELECT * FROM model WHERE digest = ? ORDER BY rowid DESC LIMIT 1", [digest])
        return self._store.parsed(_facts, found[0]) if found else None

    def candidates(self) -> dict[str, Candidate]:
        """Return the candidate that each model was exported from, by the model's digest; other models are left out."""
        found = self._store.read("SELECT digest, candidate FROM model WHERE candidate IS NOT NULL", [])
        return {row["digest"]: self._store.parsed(_candidate, row) for row in found}

    def training_rows(
        self, device_identity: str, runtime: str, runtime_version: str, *, threads: int = 1, batch: int = 1
    ) -> list[TrainingRow]:
        """Return the valid measurements of one device and runtime with their models, oldest first.

        What was measured before its model was described is left out.
        """
        values = [device_identity, runtime, runtime_version, threads, batch, Verdict.VALID.value]
        return [self._store.parsed(_training_row, row) for row in self._store.read(TRAINING, values)]


def _row(facts: ModelFacts) -> Row:
    costs = facts.costs.as_json()
    del costs["kernels"]
    return {
        "digest": facts.digest,
        "inputs_digest": facts.inputs_digest,
        "name": facts.name,
        "kernels": json.dumps(_packed(facts.costs.kernels), separators=(",", ":")),
        "costs": json.dumps(costs),
        "candidate": json.dumps(facts.candidate.as_json()) if facts.candidate else None,
    }


def _packed(kernels: Sequence[Kernel]) -> dict[str, object]:
    """Return each kernel once, and the places of them all in order."""
    places = {kernel: place for place, kernel in enumerate(dict.fromkeys(kernels))}
    return {"distinct": [kernel.as_json() for kernel in places], "order": [places[kernel] for kernel in kernels]}


def _facts(row: sqlite3.Row) -> ModelFacts:
    packed, candidate = json.loads(row["kernels"]), row["candidate"]
    distinct = [Kernel.from_json(kernel) for kernel in packed["distinct"]]
    costs = Costs.from_json({**json.loads(row["costs"]), "kernels": []})
    return ModelFacts(
        row["digest"],
        row["inputs_digest"],
        row["name"],
        replace(costs, kernels=tuple(distinct[place] for place in packed["order"])),
        Candidate.from_json(json.loads(candidate)) if candidate else None,
    )


def _candidate(row: sqlite3.Row) -> Candidate:
    return Candidate.from_json(json.loads(row["candidate"]))


def _training_row(row: sqlite3.Row) -> TrainingRow:
    found = measurement_of(row)
    return TrainingRow(found.id, found.subject, found.summary.median_ms, found.summary.insns_per_call, _facts(row))
