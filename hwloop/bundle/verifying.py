"""A bundle's own proof: its `verify.py`, run here or on a device."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from hwloop.bundle.archive import write_bundle
from hwloop.bundle.checking import OpenedBundle
from hwloop.bundle.shipped import verify
from hwloop.deadline import Deadline
from hwloop.devices.folders import Blob, Folder
from hwloop.devices.session import DeviceSession
from hwloop.digests import digest_file
from hwloop.errors import InfrastructureError, RunnerError, UsageError
from hwloop.scratch import scratch_folder

GOOD = "good"
PROGRAM, AS_JSON = "verify.py", "--json"


@dataclass(frozen=True)
class Proof:
    """What a bundle's outputs were like; `first_inference_ms` is from the start of loading to the first outputs."""

    good: bool
    message: str
    output_max_abs_err: float
    first_inference_ms: float


def verify_here(bundle: OpenedBundle, deadline: Deadline) -> Proof:
    """Run a bundle's reference inputs on this machine, with this Python and its standard library alone.

    Raises:
        UsageError: the bundle is not for this machine.
        InfrastructureError: it gave no answer, or not in time.
    """
    command = [sys.executable, "-I", "-S", str(bundle.folder / PROGRAM), AS_JSON]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=deadline.remaining_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(f"{bundle.path}: it gave no answer in time") from error
    try:
        return _proof(bundle, "here", ended.stdout)
    except ValueError as error:
        raise InfrastructureError(f"{bundle.path}: no answer: {_tail(ended.stderr)}") from error


def verify_on(session: DeviceSession, bundle: OpenedBundle, deadline: Deadline) -> Proof:
    """Push a bundle to a device, by content, and run its reference inputs there with python3 alone.

    Raises:
        UsageError: the bundle is not for this device; told before anything is pushed.
        DeviceError: the device failed.
        RunnerError: it gave no answer.
    """
    facts = session.facts
    try:
        verify.check_machine(dict(bundle.manifest), facts.machine, facts.glibc, facts.python[:2])
    except verify.Refused as error:
        raise _not_for(bundle, f"on {session.name}", str(error)) from error
    with scratch_folder("bundle") as scratch:
        packed = scratch / "bundle.zip"
        write_bundle(bundle.folder, packed, compression=1)
        folder = Folder(archives=(Blob(packed, digest_file(packed)),))
        session.push([folder], [], deadline)
    ended = session.run_file(folder, PROGRAM, [AS_JSON], deadline)
    try:
        return _proof(bundle, f"on {session.name}", ended.stdout)
    except ValueError as error:
        raise RunnerError(session.name, f"{bundle.path.name} gave no answer: {_tail(ended.stderr)}") from error


def _proof(bundle: OpenedBundle, place: str, answer: bytes) -> Proof:
    """Return what `verify.py` said; whatever is no such answer raises ValueError."""
    found: dict[str, Any] = json.loads(answer)
    try:
        if found["verdict"] == "refused":
            raise _not_for(bundle, place, str(found["message"]))
        return Proof(
            found["verdict"] == GOOD,
            str(found["message"]),
            float(found["output_max_abs_err"]),
            float(found["load_and_first_inference_ms"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no answer: {error!r}") from error


def _not_for(bundle: OpenedBundle, place: str, words: str) -> UsageError:
    return UsageError(
        f"{bundle.path}: refused {place}: {words}",
        remedy="Export the model for this device: hwloop export MODEL -d DEVICE -o FILE.",
    )


def _tail(stderr: bytes) -> str:
    return stderr[-2000:].decode(errors="replace").strip() or "it printed nothing"
