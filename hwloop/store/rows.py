"""Records to rows and back.

Times and counts are little-endian 64-bit integers. An error of NaN, which SQLite has not, becomes infinite.
"""

from __future__ import annotations

import json
import math
import sqlite3
import sys
from array import array
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from hwloop.records import (
    Conditions,
    Evidence,
    Failure,
    FailureKind,
    Limits,
    Measurement,
    ProcessRun,
    Subject,
    Summary,
    Verdict,
)

Row = dict[str, object]


def subject_row(measurement_id: str, created_at: str, subject: Subject) -> Row:
    """Return the row of table `measurement`."""
    return {
        **{name: getattr(subject, name) for name in subject.__dataclass_fields__},
        "id": measurement_id,
        "key": subject.key,
        "created_at": created_at,
        "emulated": int(subject.emulated),
        "protocol": json.dumps(dict(subject.protocol), sort_keys=True),
    }


def run_row(measurement_id: str, run: ProcessRun) -> Row:
    """Return the row of table `run`."""
    return {
        "measurement_id": measurement_id,
        "idx": run.index,
        "started_at": run.started_at,
        "steady": int(run.steady),
        "peak_rss_bytes": run.peak_rss_bytes,
        "load_ms": run.load_ms,
        "outputs_digest": run.outputs_digest,
        "output_max_abs_err": _number(run.output_max_abs_err),
        "outputs_match": None if run.outputs_match is None else int(run.outputs_match),
        "before": json.dumps(asdict(run.before)),
        "after": json.dumps(asdict(run.after)),
        "during": json.dumps(asdict(run.during)),
        "samples_ns": pack(run.samples_ns),
        "warmup_ns": pack(run.warmup_ns),
        "instructions": pack(run.instructions),
    }


def outcome_row(
    measurement_id: str,
    finished_at: str,
    verdict: Verdict,
    reasons: Iterable[str],
    summary: Summary,
    failure: Failure | None,
    limits: Limits | None,
) -> Row:
    """Return the row of table `outcome`."""
    low, high = summary.ci95_ms or (None, None)
    return {
        "measurement_id": measurement_id,
        "finished_at": finished_at,
        "verdict": verdict.value,
        "reasons": json.dumps(list(reasons)),
        "samples": summary.samples,
        "median_ms": summary.median_ms,
        "ci95_low_ms": low,
        "ci95_high_ms": high,
        "p90_ms": summary.p90_ms,
        "p90_upper_ms": summary.p90_upper_ms,
        "p99_ms": summary.p99_ms,
        "p99_upper_ms": summary.p99_upper_ms,
        "min_ms": summary.min_ms,
        "peak_rss_mb": summary.peak_rss_mb,
        "output_max_abs_err": _number(summary.output_max_abs_err),
        "insns_per_call": summary.insns_per_call,
        "failure_kind": failure.kind.value if failure else None,
        "failure_message": failure.message if failure else None,
        "failure_detail": failure.detail if failure else None,
        "limits": json.dumps(asdict(limits)) if limits else None,
    }


def measurement_of(row: sqlite3.Row, runs: Iterable[ProcessRun] = ()) -> Measurement:
    """Return the measurement of a joined row of `measurement` and `outcome`."""
    low, high = row["ci95_low_ms"], row["ci95_high_ms"]
    return Measurement(
        id=row["id"],
        created_at=row["created_at"],
        subject=Subject(
            model=row["model"],
            model_digest=row["model_digest"],
            artifact_digest=row["artifact_digest"],
            artifact_bytes=row["artifact_bytes"],
            inputs_digest=row["inputs_digest"],
            device=row["device"],
            device_identity=row["device_identity"],
            runtime=row["runtime"],
            runtime_version=row["runtime_version"],
            threads=row["threads"],
            batch=row["batch"],
            emulated=bool(row["emulated"]),
            protocol=json.loads(row["protocol"]),
        ),
        verdict=Verdict(row["verdict"]),
        reasons=tuple(json.loads(row["reasons"])),
        summary=Summary(
            samples=row["samples"],
            median_ms=row["median_ms"],
            ci95_ms=None if low is None else (low, high),
            p90_ms=row["p90_ms"],
            p90_upper_ms=row["p90_upper_ms"],
            p99_ms=row["p99_ms"],
            p99_upper_ms=row["p99_upper_ms"],
            min_ms=row["min_ms"],
            peak_rss_mb=row["peak_rss_mb"],
            output_max_abs_err=row["output_max_abs_err"],
            insns_per_call=row["insns_per_call"],
        ),
        failure=_failure(row),
        runs=tuple(runs),
        limits=None if row["limits"] is None else Limits(**json.loads(row["limits"])),
    )


def run_of(row: sqlite3.Row) -> ProcessRun:
    """Return the run of a row of table `run`."""
    return ProcessRun(
        index=row["idx"],
        started_at=row["started_at"],
        samples_ns=unpack(row["samples_ns"]),
        warmup_ns=unpack(row["warmup_ns"]),
        steady=bool(row["steady"]),
        instructions=unpack(row["instructions"]),
        peak_rss_bytes=row["peak_rss_bytes"],
        load_ms=row["load_ms"],
        outputs_digest=row["outputs_digest"],
        output_max_abs_err=row["output_max_abs_err"],
        outputs_match=None if row["outputs_match"] is None else bool(row["outputs_match"]),
        before=Evidence(**_tuples(row["before"])),
        after=Evidence(**_tuples(row["after"])),
        during=Conditions() if row["during"] is None else Conditions(**_tuples(row["during"])),
    )


def pack(values: Iterable[int]) -> bytes:
    """Return whole numbers as little-endian 64-bit integers."""
    numbers = array("q", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def unpack(data: bytes) -> tuple[int, ...]:
    """Return the whole numbers that `pack` made `data` of."""
    numbers = array("q", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)


def _failure(row: sqlite3.Row) -> Failure | None:
    if row["failure_kind"] is None:
        return None
    return Failure(FailureKind(row["failure_kind"]), row["failure_message"], row["failure_detail"])


def _tuples(text: str) -> dict[str, Any]:
    """Return a JSON object whose lists are tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}


def _number(value: float | None) -> float | None:
    return math.inf if value is not None and math.isnan(value) else value
