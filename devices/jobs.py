"""A job for the runner, and what comes back."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwloop.errors import RunnerError
from hwloop.records import Artifact, Conditions, Evidence, Failure, FailureKind, ProcessBudget, TimingProtocol

ONE_CALL = ProcessBudget(seconds=0.0, min_calls=1, max_calls=1)
LARGEST = 2**63  # what the store holds
WHOLE = (
    *("throttled", "memory_available_bytes", "running", "processors"),
    *("involuntary_switches", "full_speed_ns", "set_aside"),
)
LISTS = ("frequencies_mhz", "clocks_mhz", "temperatures_c")


@dataclass(frozen=True)
class RawOutput:
    """One output as the device computed it; `data` is in C order, little-endian."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True)
class JobResult:
    """What one process measured, before its outputs were compared.

    `outputs` is None when the host already knows outputs of that digest. Times are in nanoseconds.
    """

    started_at: str
    samples_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    steady: bool
    instructions: tuple[int, ...]
    peak_rss_bytes: int | None
    load_ms: float
    outputs_digest: str
    outputs: tuple[RawOutput, ...] | None
    before: Evidence
    after: Evidence
    during: Conditions


def job_request(
    artifact: Artifact,
    folder_digest: str,
    input_digests: Mapping[str, str],
    protocol: TimingProtocol,
    budget: ProcessBudget,
    *,
    counted: bool,
    known_outputs: Collection[str],
    full_speed_ns: int = 0,
) -> dict[str, object]:
    """Return the request that makes a zygote time `artifact` in one fresh process.

    `full_speed_ns` is what earlier processes found (0: nothing yet), see devices/runner/pace.py. Where instructions are
    `counted` it and the budget are left out: requests that differ would make counts differ.
    """
    spend = ONE_CALL if counted else budget
    return {
        "op": "job",
        "artifact": folder_digest,
        "entry": artifact.entry,
        "options": dict(artifact.options or {}),
        "inputs": [{**spec.as_json(), "blob": input_digests[spec.name]} for spec in artifact.inputs],
        "outputs": [spec.as_json() for spec in artifact.outputs],
        "threads": protocol.threads,
        "warmup_seconds": protocol.warmup_seconds,
        "relative_width": protocol.relative_width,
        "seconds": spend.seconds,
        "min_calls": spend.min_calls,
        "max_calls": spend.max_calls,
        "counted_calls": protocol.counted_calls if counted else 0,
        "full_speed": int(protocol.full_speed and not counted),
        "full_speed_ns": 0 if counted else full_speed_ns,
        "known_outputs": sorted(known_outputs),
        "deadline_s": protocol.process_deadline_s,
    }


def parse_reply(device: str, reply: Mapping[str, Any]) -> JobResult | Failure:
    """Return what a zygote answered to a job.

    Raises:
        RunnerError: the answer is not of the agreed form.
    """
    try:
        if "failure" in reply:
            return parse_failure(reply["failure"])
        return _parse_result(reply["ok"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunnerError(device, f"the runner's result is not of the agreed form: {error!r}") from error


def parse_failure(failure: Mapping[str, Any]) -> Failure:
    """Return a candidate's failure; raises KeyError or ValueError for what is not of the agreed form."""
    return Failure(FailureKind(failure["kind"]), str(failure["message"]), str(failure["detail"]))


def _parse_result(result: Mapping[str, Any]) -> JobResult:
    return JobResult(
        started_at=str(result["started_at"]),
        samples_ns=_integers(result["samples_ns"]),
        warmup_ns=_integers(result["warmup_ns"]),
        steady=bool(result["steady"]),
        instructions=_integers(result["instructions"]),
        peak_rss_bytes=None if result["peak_rss_bytes"] is None else int(result["peak_rss_bytes"]),
        load_ms=float(result["load_ms"]),
        outputs_digest=str(result["outputs_digest"]),
        outputs=parse_outputs(result["outputs"]),
        before=parse_evidence(result["before"]),
        after=parse_evidence(result["after"]),
        during=Conditions() if result["during"] is None else _conditions(result["during"]),
    )


def _integers(values: Sequence[object]) -> tuple[int, ...]:
    if not all(type(value) is int and 0 <= value < LARGEST for value in values):
        raise ValueError("a time or count is no whole number")
    return tuple(values)  # type: ignore[arg-type]


def parse_outputs(found: Sequence[Mapping[str, Any]] | None) -> tuple[RawOutput, ...] | None:
    """Return the runner's outputs as records; None where it left them out."""
    return None if found is None else tuple(map(_output, found))


def _output(output: Mapping[str, Any]) -> RawOutput:
    data = base64.b64decode(output["data"], validate=True)
    return RawOutput(str(output["name"]), str(output["dtype"]), _integers(output["shape"]), data)


def parse_evidence(found: Mapping[str, Any]) -> Evidence:
    """Return the runner's evidence as a record.

    Raises:
        TypeError, ValueError: it is not of the agreed form.
    """
    return Evidence(**{name: _figure(name, value) for name, value in dict(found).items()})


def _conditions(found: Mapping[str, Any]) -> Conditions:
    conditions = Conditions(**{name: _figure(name, value) for name, value in dict(found).items()})
    if not conditions.window_s or not conditions.cpus:
        raise ValueError("it does not say what was timed")
    return conditions


def _figure(name: str, value: object) -> Any:
    """Return a number, several as a tuple, a word, or None; whatever else the runner says is refused."""
    if name == "cpus":
        return _integers(value)  # type: ignore[arg-type]
    if name in LISTS:
        if not isinstance(value, list) or not all(map(_is_number, value)):
            raise ValueError(f"{name} holds no numbers")
        return tuple(map(float, value))
    if name == "governor":
        fits = isinstance(value, str)
    else:
        fits = _is_number(value) and (name not in WHOLE or type(value) is int)
    if value is not None and not fits:
        raise ValueError(f"{name} is not of its kind")
    return value


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and -LARGEST < value < LARGEST  # type: ignore[operator]
