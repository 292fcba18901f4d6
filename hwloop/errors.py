"""The one tree of exceptions.

HwloopError
├── UsageError                 a file, an option or a name is wrong            (exit code 2)
│   ├── ConfigError            devices.yaml: every problem at once
│   └── ModelError             a model file that cannot be measured
├── StoreError                 the store of measurements cannot be used        (exit code 2)
└── InfrastructureError        a device, the network or this host failed       (exit code 3)
    ├── EmulatorError          the emulator cannot be built or started
    ├── FetchError             a wheel or another download did not arrive
    │   └── PackageMissing     the index has no such package, version or wheel
    └── DeviceError            carries the device's name
        ├── DeviceUnreachable  no connection, or it was lost
        ├── DeviceRefused      the device refused the login
        ├── HostKeyError       an unknown or changed host key
        ├── DeviceUnsuited     architecture, glibc, Python, CPU features, memory
        ├── DeviceDiskFull     no room for what must be pushed
        ├── DeviceTimeout      no answer within the deadline
        ├── DeviceBusy         somebody else holds its lease
        ├── DeviceRestless     too much else goes on there for its figures to be trusted
        ├── DeviceQuarantined  it failed too often, and is left alone until it answers a check
        └── RunnerError        the runner on the device broke its contract

A candidate's failure is no exception: it is a `hwloop.records.Failure`, and is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class HwloopError(Exception):
    """Base of all errors that hwloop raises on purpose.

    `remedy` says what the user can do, in one sentence; it may be empty.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class UsageError(HwloopError):
    """A file, an option or a name that the user gave is wrong."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a configuration file: where it is, what stands there, what to do."""

    path: str
    line: int
    value: str
    message: str
    remedy: str


class ConfigError(UsageError):
    """A configuration file has mistakes; `problems` holds all of them."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(f"{file}: {count} mistake{'s' if count != 1 else ''}")
        self.file = file
        self.problems = tuple(problems)


class ModelError(UsageError):
    """A model file cannot be measured: not ONNX, truncated, or incomplete."""


class StoreError(HwloopError):
    """The store of measurements cannot be opened, read or written."""


class InfrastructureError(HwloopError):
    """A device, the network or this host failed; the candidate is not to blame."""


class EmulatorError(InfrastructureError):
    """The emulator cannot be built or started; the message names what is missing."""


class FetchError(InfrastructureError):
    """Something that hwloop needs could not be fetched."""


class PackageMissing(FetchError):
    """The package index has no such package, version, or wheel for that host."""


class DeviceError(InfrastructureError):
    """A device failed."""

    def __init__(self, device: str, message: str, *, remedy: str = "") -> None:
        super().__init__(f"device {device}: {message}", remedy=remedy)
        self.device = device


class DeviceUnreachable(DeviceError):
    """No connection to the device could be made, or it was lost."""


class DeviceRefused(DeviceError):
    """The device refused the login."""


class HostKeyError(DeviceError):
    """The device's host key is unknown, or is not the pinned one."""

    def __init__(self, device: str, message: str, *, fingerprint: str, remedy: str) -> None:
        super().__init__(device, message, remedy=remedy)
        self.fingerprint = fingerprint


class DeviceUnsuited(DeviceError):
    """The device cannot run what would be pushed: architecture, glibc, Python, features, memory."""


class DeviceDiskFull(DeviceError):
    """The device has no room for what must be pushed."""


class DeviceTimeout(DeviceError):
    """The device did not answer within the deadline."""


class RunnerError(DeviceError):
    """The runner on the device broke its contract: garbage, or an end without a result."""


class DeviceBusy(DeviceError):
    """Somebody else holds the device's lease, and it was not to be waited for any longer."""


class DeviceRestless(DeviceError):
    """Too much else goes on on the device for its figures to be trusted."""


class DeviceQuarantined(DeviceError):
    """The device failed too often; it is left alone until `hwloop devices check` finds it well."""
