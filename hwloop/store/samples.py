"""The samples of many measurements, process by process, without the evidence around them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwloop.store.rows import unpack
from hwloop.store.store import Store

AT_ONCE = 500
RUNS = (
    "SELECT measurement_id, samples_ns, instructions FROM run"
    " WHERE measurement_id BETWEEN ? AND ? ORDER BY measurement_id, idx"
)


@dataclass(frozen=True)
class ProcessSamples:
    """What one process measured, in order: nanoseconds a call, or instructions on an emulated device."""

    measurement_id: str
    values: tuple[int, ...]


def samples_of(store: Store, measurement_ids: Sequence[str]) -> Iterator[ProcessSamples]:
    """Yield the samples of each process of some measurements, by id and process; errors as the store's."""
    wanted = sorted(measurement_ids)
    for start in range(0, len(wanted), AT_ONCE):
        part = wanted[start : start + AT_ONCE]
        among = set(part)
        for row in store.read(RUNS, [part[0], part[-1]]):
            if row["measurement_id"] in among:
                yield store.parsed(_samples, row)


def _samples(row: sqlite3.Row) -> ProcessSamples:
    return ProcessSamples(row["measurement_id"], unpack(row["samples_ns"]) or unpack(row["instructions"]))
