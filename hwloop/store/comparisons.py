"""Comparisons in the store: a set is on disk as soon as it was measured."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from hwloop.records.comparison import (
    Comparison,
    ComparisonSet,
    Contender,
    Finding,
    Judgement,
    Match,
    Turn,
)
from hwloop.records.evidence import Evidence
from hwloop.store.ids import created_at, new_id
from hwloop.store.rows import pack, unpack
from hwloop.store.store import Store, resumed_since

UNFINISHED = (
    "SELECT id FROM comparison AS c WHERE key = ? AND id >= ?"
    " AND NOT EXISTS (SELECT 1 FROM judgement WHERE comparison_id = c.id) ORDER BY id DESC"
)


class Comparisons:
    """The comparisons of a store; errors as the store's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def resume(self, match: Match) -> tuple[str, list[ComparisonSet]]:
        """Return the id and the sets of an unfinished comparison of the last 24 h, or begin a new one."""
        for row in self._store.read(UNFINISHED, [match.key, resumed_since()]):
            if self._store.claim(row["id"]):
                return row["id"], self.sets(row["id"])
        return self.begin(match), []

    def begin(self, match: Match) -> str:
        """Begin a new comparison and return its id."""
        comparison_id = new_id()
        self._store.claim(comparison_id)
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO comparison (id, key, created_at, device, subject) VALUES (?, ?, ?, ?, ?)",
                [comparison_id, match.key, created_at(comparison_id), match.device, json.dumps(asdict(match))],
            )
        return comparison_id

    def add_set(self, comparison_id: str, one: ComparisonSet) -> None:
        """Add a set to a comparison that is not finished."""
        turns = [turn for turns in one.rounds for turn in turns]
        layout = [[[turn.contestant, len(turn.samples)] for turn in turns] for turns in one.rounds]
        notes = {
            "started_at": one.started_at,
            "outputs_match": one.outputs_match,
            "before": asdict(one.before),
            "after": asdict(one.after),
            "rounds": layout,
        }
        samples = pack(sample for turn in turns for sample in turn.samples)
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO comparison_set (comparison_id, idx, notes, samples) VALUES (?, ?, ?, ?)",
                [comparison_id, one.index, json.dumps(notes), samples],
            )

    def finish(self, comparison_id: str, judgement: Judgement) -> Comparison:
        """Close a comparison and return it."""
        finished_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO judgement (comparison_id, finished_at, finding, ratio, notes) VALUES (?, ?, ?, ?, ?)",
                [
                    comparison_id,
                    finished_at,
                    judgement.finding.value,
                    judgement.ratio,
                    json.dumps(asdict(judgement)),
                ],
            )
        self._store.release(comparison_id)
        return self.get(comparison_id)

    def get(self, comparison_id: str) -> Comparison:
        """Return a finished comparison by its whole id."""
        sql = (
            "SELECT c.id, c.created_at, c.subject, j.notes FROM comparison AS c"
            " JOIN judgement AS j ON j.comparison_id = c.id WHERE c.id = ?"
        )
        return _comparison(self._store.read(sql, [comparison_id])[0])

    def sets(self, comparison_id: str) -> list[ComparisonSet]:
        """Return the sets of a comparison, in order."""
        sql = "SELECT * FROM comparison_set WHERE comparison_id = ? ORDER BY idx"
        return [_set(row) for row in self._store.read(sql, [comparison_id])]


def _comparison(row: sqlite3.Row) -> Comparison:
    match, notes = json.loads(row["subject"]), json.loads(row["notes"])
    intervals = {name: _pair(notes[name]) for name in ("interval", "control_interval")}
    finding, reasons = Finding(notes["finding"]), tuple(notes["reasons"])
    return Comparison(
        row["id"],
        row["created_at"],
        Match(**{**match, "a": Contender(**match["a"]), "b": Contender(**match["b"])}),
        Judgement(**{**notes, **intervals, "finding": finding, "reasons": reasons}),
    )


def _set(row: sqlite3.Row) -> ComparisonSet:
    notes, samples = json.loads(row["notes"]), unpack(row["samples"])
    rounds, start = [], 0
    for layout in notes["rounds"]:
        turns = []
        for contestant, count in layout:
            turns.append(Turn(contestant, samples[start : start + count]))
            start += count
        rounds.append(tuple(turns))
    return ComparisonSet(
        row["idx"],
        notes["started_at"],
        tuple(rounds),
        tuple(notes["outputs_match"]),
        _evidence(notes["before"]),
        _evidence(notes["after"]),
    )


def _evidence(found: dict[str, object]) -> Evidence:
    return Evidence(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})  # type: ignore[arg-type]


def _pair(found: Sequence[float] | None) -> tuple[float, float] | None:
    return None if found is None else (found[0], found[1])
