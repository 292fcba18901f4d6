"""Profiles as the page reads them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase

from hwloop.records import Profile, StoredProfile
from hwloop.report.measurements import short
from hwloop.store import Filters


def profile_data(found: Iterable[StoredProfile], filters: Filters) -> list[dict[str, object]]:
    """Return the profiles that pass the filters for devices, runtimes, models and time, newest first."""
    return [_data(one) for one in found if _passes(one, filters)]


def _passes(one: StoredProfile, filters: Filters) -> bool:
    profile = one.profile
    return (
        (not filters.devices or profile.device in filters.devices)
        and (not filters.runtimes or profile.runtime in filters.runtimes)
        and (not filters.models or any(fnmatchcase(profile.model, glob) for glob in filters.models))
        and (filters.since is None or datetime.fromisoformat(one.created_at) >= filters.since)
    )


def _data(one: StoredProfile) -> dict[str, object]:
    profile: Profile = one.profile
    return {
        "model": profile.model,
        "device": profile.device,
        "runtime": profile.runtime,
        "version": profile.runtime_version,
        "threads": profile.threads,
        "unit": profile.unit,
        "at": round(datetime.fromisoformat(one.created_at).timestamp()),
        "calls": profile.calls,
        "call": short(profile.call, 6),
        "kernels": [[kernel.name, kernel.kind, short(kernel.cost), short(kernel.runs)] for kernel in profile.kernels],
    }
