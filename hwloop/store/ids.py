"""Identifiers that sort by the time they were made: milliseconds since 1970, then chance, in hexadecimal."""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime

TIME_DIGITS = 12
CHANCE_BITS = 32


class IdMaker:
    """Makes identifiers that increase strictly within this process, even when the clock is set back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        """Return a new identifier of 20 digits."""
        with self._lock:
            fresh = time.time_ns() // 1_000_000 << CHANCE_BITS | secrets.randbits(CHANCE_BITS)
            # Within one millisecond, or on a clock set back: a small step of chance after the last.
            self._last = fresh if fresh > self._last else self._last + 1 + secrets.randbits(CHANCE_BITS // 2)
            return f"{self._last:0{TIME_DIGITS + CHANCE_BITS // 4}x}"


new_id = IdMaker()


def created_at(measurement_id: str) -> str:
    """Return when an identifier was made, as ISO 8601 in UTC with milliseconds."""
    milliseconds = int(measurement_id[:TIME_DIGITS], 16)
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return moment.replace(microsecond=milliseconds % 1000 * 1000).isoformat(timespec="milliseconds")


def first_id_at(moment: datetime) -> str:
    """Return the start of every identifier made at `moment`; earlier ones sort before it."""
    return f"{max(0, int(moment.timestamp() * 1000)):0{TIME_DIGITS}x}"
