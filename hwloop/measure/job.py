"""What is asked of a measuring run, who watches it, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from hwloop.devices.fleet import Device
from hwloop.errors import InfrastructureError
from hwloop.exporter.runtimes.base import Runtime
from hwloop.measure.workload import Workload
from hwloop.records import Measurement, TimingProtocol


@dataclass(frozen=True)
class MeasureJob:
    """Every workload, on every device, with every runtime, by one protocol.

    `fresh` measures again what the store already has. `wait` waits for devices that others use. `patience_s` is how
    long a device may fail without progress. `despite_quarantine` uses devices that failed too often, too. Devices whose
    names are in `sharing` share the cells with those that equal them; the others measure everything.
    """

    workloads: Sequence[Workload]
    devices: Sequence[Device]
    runtimes: Sequence[Runtime]
    protocol: TimingProtocol
    fresh: bool = False
    wait: bool = True
    patience_s: float = 900.0
    despite_quarantine: bool = False
    sharing: frozenset[str] = frozenset()


class Observer(Protocol):
    """Who is told how a run goes; called from several threads."""

    def say(self, text: str) -> None:
        """Something takes long, or is worth a line."""

    def planned(self, device: str, cells: int) -> None:
        """A device has so many measurements before it."""

    def progressed(self, device: str, what: str, share: float) -> None:
        """A device is busy with `what`; `share` (0 to 1) of its measurements is done."""

    def finished(self, measurement: Measurement, reused: bool) -> None:
        """A measurement is in the store; `reused` if it was there before."""

    def device_failed(self, error: InfrastructureError) -> None:
        """A device failed; the others go on."""


class Silent:
    """An observer that keeps quiet; base of those that want to hear some of it."""

    def say(self, text: str) -> None:
        """Keep quiet."""

    def planned(self, device: str, cells: int) -> None:
        """Keep quiet."""

    def progressed(self, device: str, what: str, share: float) -> None:
        """Keep quiet."""

    def finished(self, measurement: Measurement, reused: bool) -> None:
        """Keep quiet."""

    def device_failed(self, error: InfrastructureError) -> None:
        """Keep quiet."""


@dataclass
class DeviceClock:
    """Where the wall time of one device went, in seconds."""

    open_s: float = 0.0
    provision_s: float = 0.0
    timed_s: float = 0.0
    warmup_s: float = 0.0
    job_s: float = 0.0
    calm_s: float = 0.0
    idle_s: float = 0.0
    wall_s: float = 0.0

    @contextmanager
    def adding_to(self, name: str) -> Iterator[None]:
        """Add the seconds that the block takes to a figure."""
        start = time.monotonic()
        try:
            yield
        finally:
            setattr(self, name, getattr(self, name) + time.monotonic() - start)


@dataclass
class Outcome:
    """All measurements in the order of models, devices and runtimes; and the devices that failed."""

    measurements: list[Measurement] = field(default_factory=list)
    device_errors: list[InfrastructureError] = field(default_factory=list)
    clocks: dict[str, DeviceClock] = field(default_factory=dict)
    interrupted: bool = False
