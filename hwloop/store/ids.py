"""Identifiers that sort by the time they were made: milliseconds since 1970, then chance, in hexadecimal."""

from __future__ import annotations

import secrets
import threading
import time
from datetime import datetime, timezone

TIME_DIGITS = 12
CHANCE_DIGITS = 8


class IdMaker:
    """Makes identifiers that increase strictly within this process, even when the clock is set back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0

    def __call__(self) -> str:
        """Return a new identifier of 20 digits."""
        with self._lock:
            self._last_ms = max(self._last_ms + 1, time.time_ns() // 1_000_000)
            return f"{self._last_ms:0{TIME_DIGITS}x}{secrets.token_hex(CHANCE_DIGITS // 2)}"


new_id = IdMaker()


def created_at(measurement_id: str) -> str:
    """Return when an identifier was made, as ISO 8601 in UTC with milliseconds."""
    milliseconds = int(measurement_id[:TIME_DIGITS], 16)
    moment = datetime.fromtimestamp(milliseconds // 1000, timezone.utc)
    return moment.replace(microsecond=milliseconds % 1000 * 1000).isoformat(timespec="milliseconds")


def first_id_at(moment: datetime) -> str:
    """Return the start of every identifier made at `moment`; earlier ones sort before it."""
    return f"{max(0, int(moment.timestamp() * 1000)):0{TIME_DIGITS}x}"
