"""Devices that no connection reaches, on the command line: jobs written for them, and what came of results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.errors import UsageError

if TYPE_CHECKING:
    from hwloop.carried import Imported
    from hwloop.devices.fleet import Device
    from hwloop.measure import MeasureJob, Observer
    from hwloop.records import Measurement
    from hwloop.store import Store

USUAL_JOB = Path("job.pyz")


def devices_by_hand(devices: Sequence[Device], job_file: Path | None) -> list[Device]:
    """Return those of some devices that jobs are carried to.

    Raises:
        UsageError: a job's file is named, and there is no such device, or several.
    """
    from hwloop.devices.fleet import BundleDevice

    found = [device for device in devices if isinstance(device.settings, BundleDevice)]
    if job_file and len(found) != 1:
        raise UsageError(
            f"--job {job_file}: {len(found)} of the devices here are reached by hand, and a job is for one",
            remedy="Name one device that has `transport: bundle` with -d.",
        )
    return found


def write_jobs(
    devices: Sequence[Device], job: MeasureJob, job_file: Path | None, store: Store, observer: Observer
) -> list[Measurement]:
    """Write a job for each of these devices; return what the store has of them already."""
    if not devices:
        return []
    from hwloop.carried import build_job

    known = []
    for device in devices:
        path = job_file or (USUAL_JOB if len(devices) == 1 else Path(f"{device.name}-{USUAL_JOB}"))
        try:
            built = build_job(job, device, path, store, observer)
        except KeyboardInterrupt:
            for runtime in job.runtimes:
                runtime.stop()
            raise
        known += built.known
        for failure in built.failures:
            observer.say(f"{device.name}: FAILED {failure}")
        if built.digest:
            size_mb = path.stat().st_size / 1e6
            observer.say(f"{path} ({size_mb:.1f} MB) is a job for {device.name}, with {_count(built.cells)} to take.")
            observer.say(f"There: python3 {path.name}; then here: hwloop results import {path.stem}.results")
    return known


def import_notes(found: Imported) -> Iterator[str]:
    """Yield what a user should know of an import beside its measurements."""
    before = len(found.measurements) - found.new
    if found.new:
        yield f"{_count(found.new)} taken in, of job {found.job[:12]}."
    if before:
        yield f"{_count(before)} of it {'is' if before == 1 else 'are'} in the store already, and not doubled."
    for name in found.unfinished:
        yield f"{name} needs more processes: run the job on the device again, and import its results then."


def _count(number: int) -> str:
    return f"{number} measurement{'s' if number != 1 else ''}"
