"""Which measurements are asked for, as SQL."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from hwloop.records import Verdict
from hwloop.store.ids import first_id_at

FINISHED = "SELECT m.*, o.* FROM measurement AS m CROSS JOIN outcome AS o ON o.measurement_id = m.id"


@dataclass(frozen=True)
class Filters:
    """What measurements must have; an empty filter lets all pass. `models` are globs (`*`, `?`, `[a-z]`),
    `artifacts` digests.

    `since` and `until` bound the time at which a measurement began. `latest_only` keeps the newest of those
    that are the same (same artifact, inputs, device and protocol).
    """

    devices: Collection[str] = ()
    runtimes: Collection[str] = ()
    models: Collection[str] = ()
    artifacts: Collection[str] = ()
    verdicts: Collection[Verdict] = ()
    since: datetime | None = None
    until: datetime | None = None
    latest_only: bool = False
    limit: int | None = None

    def sql(self) -> tuple[str, list[object]]:
        """Return the query, newest first, and its values."""
        clauses: list[str] = []
        values: list[object] = []

        def any_of(condition: str, wanted: Collection[object]) -> None:
            if wanted:
                clauses.append("(" + " OR ".join([condition] * len(wanted)) + ")")
                values.extend(wanted)

        any_of("m.device = ?", self.devices)
        any_of("m.runtime = ?", self.runtimes)
        any_of("m.model GLOB ?", self.models)
        any_of("m.artifact_digest = ?", self.artifacts)
        any_of("o.verdict = ?", [verdict.value for verdict in self.verdicts])
        any_of("m.id >= ?", [first_id_at(self.since)] if self.since else [])
        any_of("m.id < ?", [first_id_at(self.until)] if self.until else [])
        if self.latest_only:
            clauses.append(
                "NOT EXISTS (SELECT 1 FROM measurement AS n JOIN outcome ON outcome.measurement_id = n.id"
                # The key of what could not be built names no artifact: there the model tells them apart.
                " WHERE n.key = m.key AND n.id > m.id AND n.model_digest = m.model_digest)"
            )
        where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
        values.append(-1 if self.limit is None else self.limit)
        return f"{FINISHED}{where} ORDER BY m.id DESC LIMIT ?", values
