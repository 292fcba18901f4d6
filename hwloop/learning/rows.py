"""What may be learned from together: measurements of one device, runtime, version, threads, batch and way of timing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from hwloop.errors import UsageError
from hwloop.predictor.features import Floats
from hwloop.records import Candidate, Measurement, Subject, TrainingRow, Verdict
from hwloop.store import Filters, Models, Store


@dataclass(frozen=True)
class Scope:
    """What measurements have in common that are learned from together."""

    device: str
    device_identity: str
    runtime: str
    runtime_version: str
    threads: int
    batch: int
    emulated: bool
    full_speed: bool = False

    @property
    def unit(self) -> str:
        """What is predicted: an emulated device counts instructions of a call, others take milliseconds."""
        return "instructions" if self.emulated else "ms"

    @classmethod
    def of(cls, subject: Subject) -> Scope:
        """Return the scope of a measurement."""
        return cls(**{name: getattr(subject, name) for name in cls.__dataclass_fields__})

    def differences(self, other: Scope) -> str:
        """Return in words what `other` has that this has not."""
        names = [name for name in self.__dataclass_fields__ if name not in ("device", "emulated")]
        return ", ".join(
            f"{name.replace('_', ' ')} {getattr(other, name)}"
            for name in names
            if getattr(other, name) != getattr(self, name)
        )


@dataclass(frozen=True)
class Rows:
    """Measurements of one scope, one a model, oldest first; `left_out` says in words what the store has besides."""

    scope: Scope
    rows: tuple[TrainingRow, ...]
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def values(self) -> Floats:
        """What was measured, in the scope's unit."""
        return np.array([_value(row) for row in self.rows], float)

    def of_space(self, space: str) -> Rows:
        """Return those rows that are candidates of a space."""
        found = tuple(row for row in self.rows if row.facts.candidate and row.facts.candidate.space == space)
        return replace(self, rows=found)

    def of_candidates(self, candidates: Collection[Candidate]) -> Rows:
        """Return those rows that are of these candidates."""
        return replace(self, rows=tuple(row for row in self.rows if row.facts.candidate in candidates))

    def without(self, digests: frozenset[str]) -> Rows:
        """Return those rows whose models are none of these."""
        return replace(self, rows=tuple(row for row in self.rows if row.facts.digest not in digests))


def rows_of(store: Store, device: str, runtime: str, *, threads: int = 1, batch: int = 1) -> Rows:
    """Return the newest valid measurement of each model.

    Rows of different boards, runtime versions or ways of timing are never mixed: those like the newest count.

    Raises:
        UsageError: there is none.
    """
    found = find_rows(store, device, runtime, threads=threads, batch=batch)
    if found is None:
        others = store.query(Filters(devices=[device], runtimes=[runtime]))
        counts = Counter(one.verdict.value for one in others)
        besides = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        raise UsageError(
            f"no valid measurement of {device} with {runtime}, threads {threads} and batch {batch} is in the store"
            + (f", which has {besides} of this device and runtime" if besides else ""),
            remedy=f"`hwloop results -d {device}` says why."
            if besides
            else f"Measure first: hwloop measure --space SPACE --sample 20 -d {device} -r {runtime}.",
        )
    return found


def find_rows(store: Store, device: str, runtime: str, *, threads: int = 1, batch: int = 1) -> Rows | None:
    """Return what `rows_of` does, or None where there is no row."""
    found = store.query(Filters(devices=[device], runtimes=[runtime]))
    scopes = [Scope.of(one.subject) for one in found if one.verdict is Verdict.VALID]  # the newest first
    scope = next((one for one in scopes if (one.threads, one.batch) == (threads, batch)), None)
    if scope is None:
        return None
    version = scope.runtime_version
    rows = Models(store).training_rows(scope.device_identity, runtime, version, threads=threads, batch=batch)
    alike = [row for row in rows if row.subject.full_speed is scope.full_speed]
    newest = {(row.facts.digest, row.facts.inputs_digest): row for row in alike if _value(row) is not None}
    return Rows(scope, tuple(newest.values()), _left_out(scope, found, {row.measurement_id for row in rows}))


def _left_out(scope: Scope, found: list[Measurement], learned: set[str]) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for one in found:
        if one.verdict is not Verdict.VALID:
            counts[one.verdict.value] += 1
        elif difference := scope.differences(Scope.of(one.subject)):
            counts[difference] += 1
        elif one.id not in learned:
            counts["measured before its model was described"] += 1
    return tuple(f"{count} with {what}" if " " in what else f"{count} {what}" for what, count in counts.most_common())


def _value(row: TrainingRow) -> float | None:
    return row.insns_per_call if row.subject.emulated else row.median_ms
