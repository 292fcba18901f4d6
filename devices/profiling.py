"""A profile for the runner to take, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwloop.devices.jobs import LARGEST, ONE_CALL, job_request, parse_failure
from hwloop.errors import RunnerError
from hwloop.records import Artifact, Failure, KernelCost, TimingProtocol

# Keys of a job that a profile has not.
NOT_ASKED = ("relative_width", "seconds", "min_calls", "max_calls", "counted_calls", "full_speed", "full_speed_ns")


@dataclass(frozen=True)
class RawProfile:
    """What one process found: whole calls and kernels, both in nanoseconds, or in instructions."""

    calls: tuple[int, ...]
    kernels: tuple[KernelCost, ...]


def profile_request(
    artifact: Artifact,
    folder_digest: str,
    input_digests: Mapping[str, str],
    protocol: TimingProtocol,
    calls: int,
    *,
    counted: bool,
) -> dict[str, object]:
    """Return the request that makes a zygote profile `artifact` in one fresh process."""
    job = job_request(artifact, folder_digest, input_digests, protocol, ONE_CALL, counted=counted, known_outputs=())
    asked = {name: value for name, value in job.items() if name not in NOT_ASKED}
    return {**asked, "op": "profile", "calls": calls, "counted": int(counted)}


def parse_profile(device: str, reply: Mapping[str, Any]) -> RawProfile | Failure:
    """Return what a zygote answered to a profile.

    Raises:
        RunnerError: the answer is not of the agreed form.
    """
    try:
        if "failure" in reply:
            return parse_failure(reply["failure"])
        found = reply["ok"]
        calls = tuple(_number(call) for call in found["calls"])
        kernels = tuple(
            KernelCost(str(one["name"]), str(one["kind"]), _number(one["runs"]), _number(one["cost"]))
            for one in found["kernels"]
        )
        if not calls or not kernels:
            raise ValueError("it holds no calls or no kernels")
        return RawProfile(tuple(int(call) for call in calls), kernels)
    except (KeyError, TypeError, ValueError) as error:
        raise RunnerError(device, f"the runner's profile is not of the agreed form: {error!r}") from error


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < LARGEST:
        raise ValueError(f"{value!r} is no time and no count")
    return value
