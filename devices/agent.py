"""The host's end of the runner's agent: facts, evidence, and what is in the device's cache."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from hwloop.deadline import Deadline
from hwloop.devices.transports.base import Process
from hwloop.errors import DeviceDiskFull, DeviceTimeout, DeviceUnreachable, DeviceUnsuited, RunnerError


def exchange(device: str, process: Process, request: Mapping[str, object], deadline: Deadline) -> dict[str, Any]:
    """Send one request to a runner and return its reply.

    Raises:
        RunnerError: the runner ended, answered garbage, or refused the request.
        DeviceDiskFull: the device ran out of room.
        DeviceTimeout: no answer in time.
    """
    process.write(json.dumps(request).encode() + b"\n", deadline)
    return read_reply(device, process, deadline)


def read_reply(device: str, process: Process, deadline: Deadline) -> dict[str, Any]:
    """Return the next reply of a runner; errors as for `exchange`."""
    try:
        line = process.read_line(deadline)
    except EOFError as error:
        raise RunnerError(device, f"the runner ended without an answer.\n{process.stderr_tail()}".strip()) from error
    try:
        reply = json.loads(line)
    except ValueError as error:
        raise RunnerError(device, f"the runner's answer is no JSON: {line[:200]!r}") from error
    if not isinstance(reply, dict):
        raise RunnerError(device, f"the runner's answer is no JSON object: {line[:200]!r}")
    problem = reply.get("error")
    if problem and problem["kind"] == "disk full":
        raise DeviceDiskFull(device, problem["message"], remedy=NO_ROOM)
    if problem and problem["kind"] == "unsuited":
        raise DeviceUnsuited(device, problem["message"], remedy=PRIVATE)
    if problem:
        raise RunnerError(device, f"the runner refused the request: {problem['message']}")
    return reply


PRIVATE = "Make it yours alone (chmod go-w), or set `cache_dir` in devices.yaml to a folder of yours."
NO_ROOM = "Free some space there, or set `cache_dir` in devices.yaml to a roomier disk."


class Agent:
    """A running agent; one request at a time, from any thread."""

    def __init__(self, device: str, process: Process) -> None:
        self._device = device
        self._process = process
        self._lock = threading.Lock()
        self._owes = False

    def ask(self, op: str, deadline: Deadline, **fields: object) -> Any:
        """Send one request and return its result; errors as for `exchange`.

        Raises:
            DeviceTimeout: it is busy with another request until the deadline; nothing was sent.
            DeviceUnreachable: it still owes an answer from before, which would be taken for this one's.
        """
        if not self._lock.acquire(timeout=deadline.remaining_s):
            raise DeviceTimeout(self._device, "its runner is busy with another request")
        try:
            if self._owes:
                raise DeviceUnreachable(self._device, "its runner did not answer in time before")
            return exchange(self._device, self._process, {"op": op, **fields}, deadline)["ok"]
        except DeviceTimeout:
            self._owes = True
            raise
        finally:
            self._lock.release()
