"""The store of measurements."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from hwloop.errors import StoreError, UsageError
from hwloop.records import Failure, Limits, Measurement, ProcessRun, Subject, Summary, Verdict
from hwloop.store import rows
from hwloop.store.claims import Claims
from hwloop.store.connection import clear_errors, connect
from hwloop.store.ids import created_at, first_id_at, new_id
from hwloop.store.query import FINISHED, Filters

T = TypeVar("T")

BUSY_S = 30.0
DAMAGED = "Keep a copy, then name another file in HWLOOP_STORE; `sqlite3 FILE .recover` may save what is left."
RESUMED_WITHIN = timedelta(hours=24)
UNFINISHED = (
    "SELECT id FROM measurement AS m WHERE key = ? AND id >= ?"
    " AND NOT EXISTS (SELECT 1 FROM outcome WHERE measurement_id = m.id) ORDER BY id DESC"
)


def resumed_since() -> str:
    """Return the least id that is young enough to be gone on with."""
    return first_id_at(datetime.now(UTC) - RESUMED_WITHIN)


class Store:
    """Measurements in one SQLite file that only grows.

    Threads share one Store; processes open one each, and writers wait for each other. A measurement enters
    the file with its first run, or with its outcome if there is none, and each run is on disk when
    `add_run` returns: whoever is killed loses the process that was being timed, no more. A measurement
    without an outcome is no result; `unfinished` finds it, so that it can go on.

    Every method raises StoreError where the file cannot be read or written.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self._db = db
        self._db.row_factory = sqlite3.Row
        self._lock = threading.RLock()
        self._claims = Claims(path)
        self._begun: dict[str, Subject] = {}

    @classmethod
    def open(cls, path: Path, *, busy_s: float = BUSY_S) -> Store:
        """Open the store at `path`, making it where there is none; locks are waited for up to `busy_s`.

        Raises:
            StoreError: the file is no store, is of a newer hwloop, is damaged, or cannot be read or written.
        """
        return cls(path, connect(path, busy_s))

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock:
            self._db.close()
            self._claims.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def finished(self, key: str) -> Measurement | None:
        """Return the newest finished measurement with this key, without runs."""
        return next(iter(self.all_finished(key, limit=1)), None)

    def all_finished(self, key: str, *, limit: int = -1) -> list[Measurement]:
        """Return the finished measurements with this key, newest first, without runs; -1: all of them."""
        found = self._read(f"{FINISHED} WHERE m.key = ? ORDER BY m.id DESC LIMIT ?", [key, limit])
        return [self.parsed(rows.measurement_of, row) for row in found]

    def unfinished(self, key: str) -> tuple[str, list[ProcessRun]] | None:
        """Return the id and the runs of the newest measurement with this key that has no outcome.

        It is at most 24 h old, and no other living Store is at it; it now belongs to this one.
        """
        with self._lock:
            for row in self._read(UNFINISHED, [key, resumed_since()]):
                if self._claims.take(row["id"]) and self._is_unfinished(row["id"]):
                    return row["id"], self.runs(row["id"])
        return None

    def begin(self, subject: Subject) -> str:
        """Return the id of a new measurement; it enters the file with its first run or its outcome."""
        measurement_id = new_id()
        with self._lock:
            self._claims.take(measurement_id)
            self._begun[measurement_id] = subject
        return measurement_id

    def add_run(self, measurement_id: str, run: ProcessRun) -> None:
        """Add one process to a measurement that was begun and is not finished."""
        with self._write(measurement_id):
            self._insert("run", rows.run_row(measurement_id, run))

    def finish(
        self,
        measurement_id: str,
        verdict: Verdict,
        reasons: Sequence[str] = (),
        summary: Summary | None = None,
        failure: Failure | None = None,
        limits: Limits | None = None,
    ) -> Measurement:
        """Close a measurement and return it, without runs. A failure goes with the verdict FAILED alone.

        `limits` are those that the verdict was given by.
        """
        finished_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        figures = summary or Summary(samples=0)
        row = rows.outcome_row(measurement_id, finished_at, verdict, reasons, figures, failure, limits)
        with self._write(measurement_id):
            self._insert("outcome", row)
        with self._lock:
            self._claims.drop(measurement_id)
        return self.get(measurement_id, with_runs=False)

    def add_failure(self, subject: Subject, failure: Failure) -> Measurement:
        """Store a candidate that could not be measured at all."""
        return self.finish(self.begin(subject), Verdict.FAILED, (failure.message,), failure=failure)

    def query(self, filters: Filters | None = None, *, with_runs: bool = False) -> list[Measurement]:
        """Return the finished measurements that pass the filters, newest first."""
        found = self._read(*(filters or Filters()).sql())
        return [self.parsed(rows.measurement_of, row, self.runs(row["id"]) if with_runs else ()) for row in found]

    def get(self, prefix: str, *, with_runs: bool = True) -> Measurement:
        """Return the finished measurement whose id begins with `prefix`.

        Raises:
            UsageError: none has, or several have.
        """
        wanted = prefix.strip().lower()
        found = self._read(
            f"{FINISHED} WHERE m.id >= ? AND m.id < ? ORDER BY m.id DESC LIMIT 4", [wanted, wanted + "g"]
        )
        if not found:
            raise UsageError(
                f"no finished measurement has an id that begins with {prefix!r}",
                remedy="hwloop results --all lists them.",
            )
        if len(found) > 1:
            raise UsageError(
                f"several measurements have ids that begin with {prefix!r}",
                remedy=f"Give more digits: {', '.join(row['id'] for row in found[:3])}.",
            )
        return self.parsed(rows.measurement_of, found[0], self.runs(found[0]["id"]) if with_runs else ())

    def runs(self, measurement_id: str) -> list[ProcessRun]:
        """Return the processes of a measurement, in order."""
        found = self._read("SELECT * FROM run WHERE measurement_id = ? ORDER BY idx", [measurement_id])
        return [self.parsed(rows.run_of, row) for row in found]

    def claim(self, row_id: str) -> bool:
        """Claim what is unfinished; False if another living Store is at it."""
        with self._lock:
            return self._claims.take(row_id)

    def release(self, row_id: str) -> None:
        """Give a claim up."""
        with self._lock:
            self._claims.drop(row_id)

    def read(self, sql: str, values: Sequence[object]) -> list[sqlite3.Row]:
        """Return the rows of a query, for the other modules of the store."""
        return self._read(sql, values)

    def parsed(self, make: Callable[..., T], row: sqlite3.Row, *more: object) -> T:
        """Return a row as a record; one that holds something else was damaged on the disk."""
        try:
            return make(row, *more)
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{self.path}: it is damaged: a row cannot be read ({error})", remedy=DAMAGED) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold one transaction; it is rolled back if the block raises."""
        with self._lock, clear_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _is_unfinished(self, measurement_id: str) -> bool:
        """Look again: between query and claim, its former owner may have finished it."""
        return not self._read("SELECT 1 FROM outcome WHERE measurement_id = ?", [measurement_id])

    def _read(self, sql: str, values: Sequence[object]) -> list[sqlite3.Row]:
        with self._lock, clear_errors(self.path):
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def _write(self, measurement_id: str) -> Iterator[None]:
        """Hold one transaction, in which a measurement that was only begun enters the file first."""
        with self.transaction():
            subject = self._begun.get(measurement_id)
            if subject is not None:
                row = rows.subject_row(measurement_id, created_at(measurement_id), subject)
                self._insert("measurement", row)
            yield
        with self._lock:
            self._begun.pop(measurement_id, None)

    def _insert(self, table: str, row: rows.Row) -> None:
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        self._db.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", row)
