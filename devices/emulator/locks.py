"""A lock file against other hwloop processes."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.errors import EmulatorError

POLL_S = 0.05


@contextmanager
def locked(path: Path, deadline: Deadline) -> Iterator[None]:
    """Hold the lock file at `path`; the kernel lets it go if this process dies.

    Raises:
        EmulatorError: another process still holds it at the deadline.
    """
    with path.open("w") as file:
        while not _try_lock(file.fileno()):
            if deadline.expired:
                raise EmulatorError(
                    f"another hwloop is still at work on {path.parent}",
                    remedy="Wait for it to end, then try again.",
                )
            time.sleep(POLL_S)
        yield


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
