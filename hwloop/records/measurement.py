"""Every sample in order, with evidence and a verdict; or a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hwloop.digests import digest_json
from hwloop.records.evidence import Conditions, Evidence
from hwloop.records.limits import Limits


class FailureKind(StrEnum):
    """Why a candidate could not be measured."""

    UNSUPPORTED = "unsupported operator"
    BUILD = "build failed"
    LOAD = "load failed"
    CRASH = "crashed"
    TIMEOUT = "timed out"
    MEMORY = "out of memory"


@dataclass(frozen=True)
class Failure:
    """A candidate's failure: data, stored like a measurement.

    `message` is one line; `detail` keeps the end of the runtime's stderr or the compiler's words.
    """

    kind: FailureKind
    message: str
    detail: str = ""


class Verdict(StrEnum):
    """Whether a measurement can be trusted."""

    VALID = "VALID"
    INVALID = "INVALID"
    FAILED = "FAILED"


@dataclass(frozen=True)
class ProcessRun:
    """What one fresh process measured, in order.

    `samples_ns` are the timed calls (empty on an emulated device), `warmup_ns` those before them.
    `instructions` are counts of the counted calls, on emulated devices alone. `before`, `during` and `after` are
    what the device was like.
    """

    index: int
    started_at: str
    samples_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    steady: bool
    instructions: tuple[int, ...]
    peak_rss_bytes: int | None
    load_ms: float
    outputs_digest: str
    output_max_abs_err: float | None
    outputs_match: bool | None
    before: Evidence = field(default_factory=Evidence)
    after: Evidence = field(default_factory=Evidence)
    during: Conditions = field(default_factory=Conditions)


@dataclass(frozen=True)
class Subject:
    """What is measured, where and how: equal subjects are one measurement."""

    model: str
    model_digest: str
    artifact_digest: str
    artifact_bytes: int
    inputs_digest: str
    device: str
    device_identity: str
    runtime: str
    runtime_version: str
    threads: int
    batch: int
    emulated: bool
    protocol: Mapping[str, object]

    @property
    def full_speed(self) -> bool:
        """Whether only calls at the processor's full speed counted."""
        return bool(self.protocol.get("full_speed"))

    @property
    def key(self) -> str:
        """The digest of what makes two measurements the same; the model's name does not."""
        return digest_json(
            {
                "artifact": self.artifact_digest,
                "inputs": self.inputs_digest,
                "device": [self.device, self.device_identity],
                "runtime": [self.runtime, self.runtime_version],
                "protocol": dict(self.protocol),
            }
        )


@dataclass(frozen=True)
class Summary:
    """The figures of a measurement; times are None on an emulated device."""

    samples: int
    median_ms: float | None = None
    ci95_ms: tuple[float, float] | None = None
    p90_ms: float | None = None
    p90_upper_ms: float | None = None
    min_ms: float | None = None
    peak_rss_mb: float | None = None
    output_max_abs_err: float | None = None
    insns_per_call: float | None = None
    p99_ms: float | None = None
    p99_upper_ms: float | None = None


@dataclass(frozen=True)
class Measurement:
    """A finished measurement as it stands in the store; `limits` are those that its verdict was given by."""

    id: str
    created_at: str
    subject: Subject
    verdict: Verdict
    reasons: tuple[str, ...]
    summary: Summary
    failure: Failure | None = None
    runs: tuple[ProcessRun, ...] = ()
    limits: Limits | None = None

    def as_json(self) -> dict[str, object]:
        """Return the item that `hwloop measure --json` prints; `runs` are left out."""
        subject, summary = self.subject, self.summary
        failure = self.failure
        return {
            "measurement_id": self.id,
            "created_at": self.created_at,
            "model": subject.model,
            "model_digest": subject.model_digest,
            "device": subject.device,
            "runtime": subject.runtime,
            "runtime_version": subject.runtime_version,
            "threads": subject.threads,
            "batch": subject.batch,
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "failure": failure and {"kind": failure.kind.value, "message": failure.message, "detail": failure.detail},
            "median_ms": summary.median_ms,
            "ci95_ms": list(summary.ci95_ms) if summary.ci95_ms else None,
            "p90_ms": summary.p90_ms,
            "p90_upper_ms": summary.p90_upper_ms,
            "p99_ms": summary.p99_ms,
            "p99_upper_ms": summary.p99_upper_ms,
            "min_ms": summary.min_ms,
            "samples": summary.samples,
            "peak_rss_mb": summary.peak_rss_mb,
            "artifact_bytes": subject.artifact_bytes,
            "output_max_abs_err": summary.output_max_abs_err,
            "insns_per_call": summary.insns_per_call,
        }
