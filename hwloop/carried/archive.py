"""The job archive as this host writes it, and what it keeps of it to judge the results by."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwloop.carried.cells import CarriedCell, folder_json
from hwloop.devices.carried.job_file import BLOBS, DOCUMENT, FORMAT, REFERENCES, JobFile, JobRefused
from hwloop.devices.carried.packing import packed_modules
from hwloop.devices.folders import Folder
from hwloop.devices.runner_file import runner_file
from hwloop.digests import digest_bytes, digest_file
from hwloop.errors import UsageError

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # equal jobs are equal files
KEPT = "jobs"
Content = bytes | Path


def write_job(
    path: Path, kept: Path, settings: Mapping[str, Any], runtimes: Mapping[str, Folder], cells: Sequence[CarriedCell]
) -> str:
    """Write a job's archive to `path`, and what judges its results into the folder `kept`; return its digest.

    Raises:
        UsageError: it cannot be written there.
    """
    runner = runner_file()
    references = {REFERENCES + digest: data for cell in cells for digest, data in cell.references.items()}
    stored: dict[str, Content] = {
        BLOBS + blob.digest: blob.path for folder in runtimes.values() for blob in folder.archives
    }
    files: dict[str, Content] = {
        **packed_modules(),
        runner.name: runner,
        **{BLOBS + blob.digest: blob.path for folder in runtimes.values() for blob in folder.files.values()},
        **{BLOBS + digest: file for cell in cells for digest, file in cell.blobs.items()},
        **references,
        **stored,
    }
    document = {
        **settings,
        "format": FORMAT,
        "runner": runner.name,
        "runtimes": {name: folder_json(folder) for name, folder in runtimes.items()},
        "cells": [cell.document for cell in cells],
        "files": {name: _digest(content) for name, content in files.items()},
    }
    data = json.dumps(document, sort_keys=True, indent=1).encode()
    digest = digest_bytes(data)
    try:
        _write(path, {DOCUMENT: data, **files}, stored)
        kept.mkdir(parents=True, exist_ok=True)
        _write(kept / f"{digest}.zip", {DOCUMENT: data, **references}, {})
    except OSError as error:
        raise UsageError(f"{error.filename}: the job cannot be written ({error.strerror})") from error
    return digest


def kept_jobs(store: Path) -> Path:
    """Return the folder beside a store that keeps what judges the results of its jobs."""
    return store.with_name(KEPT)


def find_job(store: Path, digest: str, given: Path | None) -> JobFile:
    """Return the job with this digest: the archive that is given, or what is kept beside the store.

    Raises:
        UsageError: the archive is of another job, or none is known.
    """
    path = given or kept_jobs(store) / f"{digest}.zip"
    if not given and not path.is_file():
        raise UsageError(
            f"these are results of job {digest[:12]}, and none of this store's jobs is that",
            remedy="Name the job's archive with --job, or the store that it was written with in HWLOOP_STORE.",
        )
    try:
        job = JobFile(str(path))
    except JobRefused as error:
        raise UsageError(str(error), remedy="Name the archive that hwloop wrote.") from error
    if job.digest != digest:
        raise UsageError(
            f"these are results of job {digest[:12]}, and {path} is job {job.digest[:12]}",
            remedy="Name the archive that ran on the device.",
        )
    return job


def _digest(content: Content) -> str:
    return digest_file(content) if isinstance(content, Path) else digest_bytes(content)


def _write(path: Path, files: Mapping[str, Content], stored: Mapping[str, Content]) -> None:
    """Write an archive, at once or not at all; what is compressed already is `stored` as it is."""
    arriving = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(arriving, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                info = zipfile.ZipInfo(name, LONG_AGO)
                info.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
                archive.writestr(info, content.read_bytes() if isinstance(content, Path) else content)
        arriving.replace(path)
    finally:
        arriving.unlink(missing_ok=True)
