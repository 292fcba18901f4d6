"""Folders for a while: gone when they are left, or with the next one if their process was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwloop.paths import cache_dir

GATE = ".gate"
OWNER = ".owner"


@contextmanager
def scratch_folder(name: str, root: Path | None = None) -> Iterator[Path]:
    """Make an empty folder below hwloop's cache folder, whose name begins with `name`, for the length of the block.

    Folders whose processes have ended are removed first. The kernel tells: it drops a dead process's locks.
    """
    place = root or cache_dir() / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    with _locked(place / GATE):
        for folder in place.iterdir():
            if folder.is_dir() and not _has_owner(folder):
                shutil.rmtree(folder, ignore_errors=True)
        mine = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))
        owner = _lock(mine / OWNER, fcntl.LOCK_EX)
    try:
        inner = mine / "content"
        inner.mkdir()
        yield inner
    finally:
        shutil.rmtree(mine, ignore_errors=True)
        os.close(owner)


def _has_owner(folder: Path) -> bool:
    try:
        os.close(_lock(folder / OWNER, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return True
    return False


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    handle = _lock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(handle)


def _lock(file: Path, how: int) -> int:
    """Return an open file that is locked until it is closed; children do not inherit it."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, how)
    except OSError:
        os.close(handle)
        raise
    return handle
