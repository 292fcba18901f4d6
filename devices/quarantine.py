"""Devices that failed too often, and are left alone until they answer a check."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from hwloop.errors import StoreError

FAILED_COMMANDS = 3  # in a row
FILE_NAME = "quarantine.json"


@dataclass(frozen=True)
class Record:
    """A device's failures in a row; `since` is when it was quarantined, "" if it is not."""

    failures: int
    reason: str
    since: str = ""


Records = dict[str, Record]


def quarantined(store: Path) -> Mapping[str, Record]:
    """Return the devices that are left alone, by name, as is kept beside a store.

    Raises:
        StoreError: the file cannot be read, or is damaged.
    """
    return {name: record for name, record in _read(_beside(store)).items() if record.since}


def note_failure(store: Path, name: str, reason: str, *, at_once: bool = False) -> bool:
    """Note that a command gave a device up; return whether it is quarantined: at once, or after three in a row.

    Raises:
        StoreError: the file cannot be written, or is damaged.
    """

    def change(records: Records) -> Records:
        before = records.get(name, Record(0, ""))
        failures = before.failures + 1
        now = datetime.now(UTC).isoformat(timespec="seconds")
        since = before.since or (now if at_once or failures >= FAILED_COMMANDS else "")
        return {**records, name: Record(failures, reason, since)}

    return bool(_change(_beside(store), change)[name].since)


def lift(store: Path, name: str) -> bool:
    """Forget a device's failures; return whether it was quarantined.

    Raises:
        StoreError: the file cannot be written, or is damaged.
    """
    file = _beside(store)
    before = _read(file).get(name)
    if before is not None:
        _change(file, lambda records: {other: record for other, record in records.items() if other != name})
    return before is not None and bool(before.since)


def _beside(store: Path) -> Path:
    return store.with_name(FILE_NAME)


def _read(file: Path) -> Records:
    try:
        return {name: Record(**record) for name, record in json.loads(file.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"{file}: it cannot be read ({error})", remedy="Remove it: it holds nothing else.") from error


def _change(file: Path, change: Callable[[Records], Records]) -> Records:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _alone(file):
            records = change(_read(file))
            arriving = file.with_suffix(f".{os.getpid()}")
            arriving.write_text(json.dumps({name: asdict(record) for name, record in records.items()}, indent=1))
            arriving.replace(file)
            return records
    except OSError as error:
        raise StoreError(f"{file}: it cannot be written ({error.strerror})", remedy="Make its folder yours.") from error


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keep other processes out of a change."""
    handle = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
