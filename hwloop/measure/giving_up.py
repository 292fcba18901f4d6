"""Devices that had their chance: noted, quarantined, and left alone by the next run."""

from __future__ import annotations

from collections.abc import Callable

from hwloop.devices import quarantine
from hwloop.errors import DeviceBusy, DeviceError, DeviceQuarantined, InfrastructureError
from hwloop.store import Store


def refuse_quarantined(store: Store, device: str, *, despite: bool) -> None:
    """Raise DeviceQuarantined for a device that failed too often, unless it is to be used all the same."""
    record = quarantine.quarantined(store.path).get(device)
    if record and not despite:
        raise DeviceQuarantined(
            device,
            f"it is quarantined since {record.since}, after {record.failures} failures: {record.reason}",
            remedy=f"hwloop devices check {device} lifts that when it is well; --despite-quarantine tries it.",
        )


def give_up(
    store: Store, device: str, error: InfrastructureError, had_its_chance: bool, say: Callable[[str], None]
) -> None:
    """Note that a run gave a device up; one that had its chance is quarantined at once, others after three runs."""
    if not isinstance(error, DeviceError) or isinstance(error, DeviceBusy | DeviceQuarantined):
        return
    reason = str(error).splitlines()[0].removeprefix(f"device {device}: ")
    if quarantine.note_failure(store.path, device, reason, at_once=had_its_chance):
        say(f"{device} is quarantined; `hwloop devices` shows why")
