"""Measurements as CSV and Parquet, one row each, or one row for every timed call."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

from hwloop.errors import UsageError
from hwloop.records import Measurement, ProcessRun
from hwloop.store.store import Store

Row = dict[str, object]

# In order, with the type that the column has in Parquet; CSV has the same columns.
MEASUREMENT_COLUMNS = {
    "measurement_id": "string",
    "created_at": "string",
    "model": "string",
    "model_digest": "string",
    "device": "string",
    "runtime": "string",
    "runtime_version": "string",
    "threads": "int64",
    "batch": "int64",
    "verdict": "string",
    "reasons": "string",
    "failure_kind": "string",
    "failure_message": "string",
    "median_ms": "float64",
    "ci95_low_ms": "float64",
    "ci95_high_ms": "float64",
    "p90_ms": "float64",
    "p90_upper_ms": "float64",
    "p99_ms": "float64",
    "p99_upper_ms": "float64",
    "min_ms": "float64",
    "samples": "int64",
    "peak_rss_mb": "float64",
    "artifact_bytes": "int64",
    "output_max_abs_err": "float64",
    "insns_per_call": "float64",
    "artifact_digest": "string",
    "inputs_digest": "string",
    "device_identity": "string",
    "emulated": "bool",
    "protocol": "string",
}
CALL_COLUMNS = {
    "measurement_id": "string",
    "model": "string",
    "device": "string",
    "runtime": "string",
    "process": "int64",
    "call": "int64",
    "warmup": "bool",
    "time_ns": "int64",
    "instructions": "int64",
}


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Row]) -> int:
    """Write rows with a heading and return how many; what is None is empty.

    Raises:
        UsageError: the file cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    count = 0
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(columns), lineterminator="\n")
            writer.writeheader()
            for row in rows:
                writer.writerow(row)
                count += 1
        partial.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def write_parquet(path: Path, columns: dict[str, str], rows: Iterable[Row]) -> int:
    """Write rows as Parquet and return how many.

    Raises:
        UsageError: the file cannot be written, or pyarrow is not installed.
    """
    try:
        pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            f"{path}: Parquet files need pyarrow, which is not installed",
            remedy="pip install 'hwloop[parquet]', or write a CSV file.",
        ) from error
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
    partial = path.with_name(path.name + ".partial")
    count = 0
    try:
        with pq.ParquetWriter(partial, schema) as writer:
            for block in _blocks(rows, 50_000):
                writer.write_table(pa.Table.from_pylist(block, schema=schema))
                count += len(block)
        partial.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def measurement_rows(measurements: Iterable[Measurement]) -> Iterator[Row]:
    """Return a row per measurement, with the columns of MEASUREMENT_COLUMNS."""
    for one in measurements:
        subject, failure = one.subject, one.failure
        low, high = one.summary.ci95_ms or (None, None)
        known = one.as_json() | {
            "reasons": "; ".join(one.reasons),
            "failure_kind": failure.kind.value if failure else None,
            "failure_message": failure.message if failure else None,
            "ci95_low_ms": low,
            "ci95_high_ms": high,
            "artifact_digest": subject.artifact_digest,
            "inputs_digest": subject.inputs_digest,
            "device_identity": subject.device_identity,
            "emulated": subject.emulated,
            "protocol": json.dumps(dict(subject.protocol), sort_keys=True),
        }
        yield {name: known[name] for name in MEASUREMENT_COLUMNS}


def call_rows(store: Store, measurements: Iterable[Measurement]) -> Iterator[Row]:
    """Return a row per call of every process, warm-up first, with the columns of CALL_COLUMNS."""
    for one in measurements:
        subject = one.subject
        names = (one.id, subject.model, subject.device, subject.runtime)
        for run in store.runs(one.id):
            for call, what in enumerate(_calls(run)):
                yield dict(zip(CALL_COLUMNS, (*names, run.index, call, *what), strict=True))


def _calls(run: ProcessRun) -> Iterator[tuple[bool, int | None, int | None]]:
    yield from ((True, time_ns, None) for time_ns in run.warmup_ns)
    yield from ((False, time_ns, None) for time_ns in run.samples_ns)
    yield from ((False, None, instructions) for instructions in run.instructions)


def _blocks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    block: list[Row] = []
    for row in rows:
        block.append(row)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path}: cannot be written ({error.strerror or error})", remedy="Name a file in a folder of yours."
    )
