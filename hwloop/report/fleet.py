"""The fleet and its health: what devices.yaml names, what is quarantined, and how measuring went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hwloop.devices.fleet import Fleet
from hwloop.devices.quarantine import Record
from hwloop.records import Evidence, Measurement
from hwloop.store import Store


def fleet_data(
    store: Store, fleet: Fleet, ill: Mapping[str, Record], found: Sequence[Measurement]
) -> list[dict[str, object]]:
    """Return each device of the fleet, then those that only the store knows, with what they measured."""
    known = {device.name: device for device in fleet.select([])}
    measured = Counter(one.subject.device for one in found)
    devices: list[dict[str, object]] = []
    for name in [*known, *(name for name in measured if name not in known)]:
        device = known.get(name)
        mine = [one for one in found if one.subject.device == name]
        devices.append(
            {
                "name": name,
                "transport": device.settings.transport if device else None,
                "address": device.address if device else None,
                "tags": list(device.settings.tags) if device else [],
                "runtimes": list(device.settings.runtimes) if device else [],
                "quarantine": _ill(ill.get(name)),
                "verdicts": dict(Counter(one.verdict.value for one in mine)),
                "last": mine[0].created_at if mine else None,
                "state": _last_state(store, mine[0].id) if mine else None,
            }
        )
    return devices


def _ill(record: Record | None) -> dict[str, str] | None:
    return {"since": record.since, "reason": record.reason} if record else None


def _last_state(store: Store, measurement_id: str) -> dict[str, object] | None:
    """Return what the device was like after the last process of its newest measurement."""
    runs = store.runs(measurement_id)
    evidence = runs[-1].after if runs else Evidence()
    state: dict[str, object] = {
        "temperature_c": evidence.temperature_c,
        "clock_mhz": max(evidence.frequencies_mhz, default=None),
        "governor": evidence.governor,
        "load_1min": evidence.load_1min,
        "throttled": evidence.throttled,
    }
    return state if any(value is not None for value in state.values()) else None
