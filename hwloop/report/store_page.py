"""The page of a store: the fleet, measurements, fronts, predictors, kernels, and how models changed over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hwloop.devices.fleet import Fleet
from hwloop.devices.quarantine import quarantined
from hwloop.report.fleet import fleet_data
from hwloop.report.fronts import size_fronts
from hwloop.report.measurements import measurement_data
from hwloop.report.page import Page, Section, write_page
from hwloop.report.predicted import predicted_data
from hwloop.report.profiles import profile_data
from hwloop.report.searches import search_fronts
from hwloop.store import Filters, Models, Store
from hwloop.store.profiles import Profiles

SECTIONS = (
    Section("fleet", "Fleet", "Every device, and whether its measurements can be trusted."),
    Section("measurements", "Measurements", "Each unfolds to the calls of its processes, in order."),
    Section("fronts", "Fronts", "Candidates of a space on a device; no other beats those of the front in both."),
    Section("predicted", "Predicted against measured", "Networks that a predictor has not learned from."),
    Section("kernels", "Latency by kernel", "Where the time of a call goes, kernel by kernel."),
    Section("history", "History", "The same model on the same device, over time."),
)
SCRIPTS = ("against.js", "measurements.js", "sections.js", "kernels.js", "history.js", "report.js")


@dataclass(frozen=True)
class Written:
    """What came of a report: the file and how much is in it."""

    file: str
    bytes: int
    measurements: int
    devices: int
    fronts: int
    predictors: int
    profiles: int


def write_report(
    path: Path,
    store: Store,
    filters: Filters,
    fleet: Fleet,
    predictors: Sequence[Path] = (),
) -> Written:
    """Write the page of what passes the filters.

    Raises:
        UsageError: a predictor's file is none, the page cannot be written, or Jinja is not installed.
        StoreError: the store cannot be read.
    """
    found = store.query(filters)
    devices = fleet_data(store, fleet, quarantined(store.path), found)
    counting = {device.name for device in fleet.select([]) if device.emulated}
    counting |= {one.subject.device for one in found if one.subject.emulated}
    shown = [*search_fronts(store, filters.devices, counting), *size_fronts(found, Models(store).candidates())]
    told = predicted_data(store, predictors)
    profiles = profile_data(Profiles(store).all(), filters)
    data = {
        "fleet": devices,
        "measurements": measurement_data(store, found),
        "fronts": [front.as_json() for front in shown],
        "predicted": told,
        "profiles": profiles,
    }
    models = {one.subject.model_digest for one in found}
    facts = [
        ("measurements", f"{len(found):,}"),
        ("models", f"{len(models):,}"),
        ("devices", str(len(devices))),
        ("newest", found[0].created_at[:16].replace("T", " ") + " UTC" if found else "none"),
        ("written", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
    ]
    ill = [str(device["name"]) for device in devices if device["quarantine"]]
    warning = f"In quarantine: {', '.join(ill)}." if ill else ""
    write_page(path, Page("What hwloop measured", f"From {store.path.name}.", SECTIONS, SCRIPTS, data, facts, warning))
    return Written(str(path), path.stat().st_size, len(found), len(devices), len(shown), len(told), len(profiles))
