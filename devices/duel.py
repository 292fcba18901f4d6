"""The host's end of a comparison: sets of turns, as the runner's duel takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwloop.deadline import Deadline
from hwloop.devices.agent import exchange
from hwloop.devices.jobs import RawOutput, parse_evidence, parse_outputs
from hwloop.devices.transports.base import Process
from hwloop.errors import DeviceTimeout, RunnerError
from hwloop.records import Artifact, Evidence, Failure, FailureKind
from hwloop.records.comparison import ComparisonProtocol, Round, Turn

GRACE_S = 30.0


@dataclass(frozen=True)
class Entrant:
    """One contestant as the runner must know it; folders and blobs were pushed before."""

    runtime: str
    runtime_folder: str
    artifact: Artifact
    artifact_folder: str
    input_digests: Mapping[str, str]
    known_outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class EntrantResult:
    """What an entrant computed; `outputs` is None where the host knows outputs of that digest."""

    outputs_digest: str
    outputs: tuple[RawOutput, ...] | None


@dataclass(frozen=True)
class SetResult:
    """One set: its rounds, and the outputs of each entrant."""

    rounds: tuple[Round, ...]
    results: tuple[EntrantResult, ...]
    before: Evidence
    after: Evidence


class Duel:
    """A running duel; it takes one set after the other."""

    def __init__(self, device: str, process: Process) -> None:
        self._device = device
        self._process = process

    def run(
        self, entrants: Sequence[Entrant], protocol: ComparisonProtocol, seconds: float, seed: int
    ) -> SetResult | Failure:
        """Time one fresh process of each entrant in turns for `seconds`; a crash or a hang is a Failure.

        Raises:
            RunnerError: the duel ended or broke its contract.
            DeviceTimeout: nothing came in time; the duel is dead then.
        """
        limit_s = protocol.process_deadline_s
        request = {
            "op": "set",
            "contestants": [_contestant(entrant, protocol) for entrant in entrants],
            "seconds": seconds,
            "turn_seconds": protocol.turn_seconds,
            "seed": seed,
        }
        try:
            answer = exchange(self._device, self._process, request, Deadline.after(limit_s + GRACE_S))
        except DeviceTimeout:
            self._process.kill()
            raise
        return _parse(self._device, answer)

    def close(self) -> None:
        """End the duel and all its processes."""
        self._process.kill()


def _contestant(entrant: Entrant, protocol: ComparisonProtocol) -> dict[str, object]:
    job = {
        "op": "turns",
        "artifact": entrant.artifact_folder,
        "entry": entrant.artifact.entry,
        "options": dict(entrant.artifact.options or {}),
        "inputs": [{**spec.as_json(), "blob": entrant.input_digests[spec.name]} for spec in entrant.artifact.inputs],
        "outputs": [spec.as_json() for spec in entrant.artifact.outputs],
        "threads": protocol.threads,
        "warmup_seconds": protocol.warmup_seconds,
        "known_outputs": sorted(entrant.known_outputs),
        "deadline_s": protocol.process_deadline_s,
    }
    return {"runtime": entrant.runtime, "folder": entrant.runtime_folder, "job": job}


def _parse(device: str, answer: Mapping[str, Any]) -> SetResult | Failure:
    try:
        if "failure" in answer:
            failure, who = answer["failure"], "ABA"[answer["contestant"]]
            return Failure(FailureKind(failure["kind"]), f"{who}: {failure['message']}", str(failure["detail"]))
        found = answer["ok"]
        return SetResult(
            tuple(tuple(_turn(turn) for turn in turns) for turns in found["rounds"]),
            tuple(EntrantResult(str(one["outputs_digest"]), parse_outputs(one["outputs"])) for one in found["results"]),
            parse_evidence(found["before"]),
            parse_evidence(found["after"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise RunnerError(device, f"the runner's result is not of the agreed form: {error!r}") from error


def _turn(found: Mapping[str, Any]) -> Turn:
    samples = found["samples_ns"]
    if not samples or not all(type(sample) is int and sample > 0 for sample in samples):
        raise ValueError("a time is no whole number")
    return Turn(int(found["contestant"]), tuple(samples))
