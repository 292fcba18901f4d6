"""Which unfinished measurements belong to a living Store, so that two never go on with the same one.

A claim is a lock on one byte of a file beside the store. The kernel drops it when its owner ends, even by
kill -9, so that nothing has to be cleaned up.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

from hwloop.errors import StoreError

ID_DIGITS = 15  # what of an id fits into a file offset


class Claims:
    """The claims of one Store; the file is opened with the first of them."""

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + "-claims")
        self._file: int | None = None

    def take(self, measurement_id: str) -> bool:
        """Claim a measurement; False if another Store has it. What is claimed already stays so.

        Raises:
            StoreError: the file of claims cannot be used.
        """
        try:
            self._lock(measurement_id, fcntl.F_WRLCK)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES) and self._file is not None:
                return False
            raise StoreError(
                f"{self._path}: cannot be locked ({error.strerror})",
                remedy="Make its folder writable, or name another file in HWLOOP_STORE.",
            ) from error
        return True

    def drop(self, measurement_id: str) -> None:
        """Give a claim up."""
        if self._file is not None:
            self._lock(measurement_id, fcntl.F_UNLCK)

    def close(self) -> None:
        """Give all claims up."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lock(self, measurement_id: str, kind: int) -> None:
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        start = int(measurement_id[-ID_DIGITS:], 16)
        # Locks of the open file, not of the process: closing another Store here must not drop them.
        flock = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, 1, 0)
        fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, flock)
