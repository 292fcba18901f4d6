"""hwloop's folder on this device: blobs by digest, and folders assembled from them."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import time
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .wire import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGEST_LENGTH = 64
MOST_MEMBERS = 50_000
MOST_UNPACKED_BYTES = 8 << 30
DEAD_AFTER_S = 60  # the runner's few kilobytes do not take longer to arrive


def is_digest(text: object) -> bool:
    """Whether `text` is 64 hexadecimal digits."""
    return isinstance(text, str) and len(text) == DIGEST_LENGTH and set(text) <= set("0123456789abcdef")


def within(folder: str, name: str) -> str:
    """Return the path of `name` in `folder`; refuse a name that leads outside."""
    parts = name.split("/")
    if not name or name.startswith("/") or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise Refused("the name %r leads outside its folder" % name)
    return os.path.join(folder, *parts)


def sha256_of(path: str) -> str:
    """Return a file's SHA-256 in hexadecimal digits, once its content is on the disk for good."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            sha.update(block)
        os.fsync(file.fileno())  # after a power cut no name may stand for other bytes
    return sha.hexdigest()


class Cache:
    """hwloop's folder on the device; everything in it is named by the digest of its content.

    A session that uses what is in it shares a lock. What dead sessions left, and what nobody used for long, is removed
    only by one that has it alone: devices with one network home have one cache.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        for name in ("", "blobs", "folders", "incoming"):
            os.makedirs(os.path.join(root, name), mode=0o700, exist_ok=True)
        found = os.stat(root)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise Refused("the cache folder %s is another user's, or writable by others" % root)
        self.lock = os.open(os.path.join(root, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.shared = False

    def share(self) -> None:
        """Keep other sessions from removing anything, until this process ends."""
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        self.shared = True

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Have the cache alone, and keep others out meanwhile; False if others use it just now."""
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except OSError:  # in use, or a file system that knows no locks
            alone = False
        try:
            yield alone
        finally:
            fcntl.flock(self.lock, fcntl.LOCK_SH if self.shared else fcntl.LOCK_UN)

    def blob(self, digest: str) -> str:
        """Return the path of a blob."""
        if not is_digest(digest):
            raise Refused("%r is no digest" % (digest,))
        return os.path.join(self.root, "blobs", digest)

    def folder(self, digest: str) -> str:
        """Return the path of an assembled folder."""
        if not is_digest(digest):
            raise Refused("%r is no digest" % (digest,))
        return os.path.join(self.root, "folders", digest)

    def missing(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say which of the named blobs and folders are not here; the others stay as long as this process."""
        self.share()
        for path in [self.blob(one) for one in request["blobs"]] + [self.folder(one) for one in request["folders"]]:
            if os.path.exists(path):
                os.utime(path)  # it is in use again: `trim` takes others first
        return {
            "blobs": [digest for digest in request["blobs"] if not os.path.isfile(self.blob(digest))],
            "folders": [digest for digest in request["folders"] if not os.path.isdir(self.folder(digest))],
        }

    def adopt(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take files that arrived in `incoming` into the blobs, if their content is what their name says."""
        for digest, name in request["files"].items():
            arrived = within(os.path.join(self.root, "incoming"), name)
            found = sha256_of(arrived)
            if found != digest:
                os.unlink(arrived)
                raise Refused("a pushed file arrived damaged: its digest is %s, not %s" % (found, digest))
            os.replace(arrived, self.blob(digest))
        return {}

    def assemble(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make a folder of blobs (linked under their names) and of archives (unpacked), at once or not at all."""
        target = self.folder(request["folder"])
        if os.path.isdir(target):
            return {}
        building = tempfile.mkdtemp(dir=os.path.join(self.root, "incoming"))
        try:
            for name, digest in request["files"].items():
                path = within(building, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.link(self.blob(digest), path)
            for digest in request["archives"]:
                self.unpack(self.blob(digest), building)
            settle(building)
            if not os.path.isdir(target):  # another host's session may have been faster
                os.rename(building, target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        for digest in request["archives"]:
            os.unlink(self.blob(digest))
        return {}

    @staticmethod
    def unpack(archive: str, folder: str) -> None:
        """Unpack a zip archive; refuse links, names that lead outside, and what is damaged or encrypted."""
        try:
            Cache.extract(archive, folder)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise Refused("the archive cannot be unpacked: %s" % error)

    @staticmethod
    def extract(archive: str, folder: str) -> None:
        """Unpack a zip archive; no more of a file than the size that the archive states."""
        with zipfile.ZipFile(archive) as files:
            members = files.infolist()
            if len(members) > MOST_MEMBERS or sum(one.file_size for one in members) > MOST_UNPACKED_BYTES:
                raise Refused("the archive would unpack to more than is allowed")
            for member in members:
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise Refused("the archive is compressed as hwloop's never are: %r" % member.filename)
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise Refused("the archive holds a link: %r" % member.filename)
                if not member.is_dir():
                    within(folder, member.filename)
                    files.extract(member, folder)

    def sweep(self) -> int:
        """Remove what dead sessions left half done; return the bytes that got free."""
        freed = 0
        with self.alone() as alone:
            for entry in self.leftovers() if alone else ():
                freed += remove(entry.path)
        return freed

    def leftovers(self) -> list[os.DirEntry[str]]:
        """Return what was arriving for sessions that are dead; to be called alone.

        A runner may arrive for a session that has no agent, and so no lock, yet.
        """
        old = time.time() - DEAD_AFTER_S
        parts = [
            entry for entry in os.scandir(self.root) if entry.name.startswith("runner-") and ".part." in entry.name
        ]
        return list(os.scandir(os.path.join(self.root, "incoming"))) + [
            entry for entry in parts if entry.stat(follow_symlinks=False).st_mtime < old
        ]

    def trim(self, limit_bytes: int, keep: set[str]) -> int:
        """Remove other runners, and what was used longest ago until the rest is within the limit.

        Return the bytes that got free; none while other sessions use the cache.
        """
        with self.alone() as alone:
            return self.remove_runners() + self.evict(limit_bytes, keep) if alone else 0

    def remove_runners(self) -> int:
        """Remove every runner but this one, which other versions of hwloop brought."""
        return sum(
            remove(entry.path)
            for entry in list(os.scandir(self.root))
            if entry.name.startswith("runner-")
            and entry.name.endswith((".py", ".pyz"))
            and entry.name != os.path.basename(sys.argv[0])
        )

    def evict(self, limit_bytes: int, keep: set[str]) -> int:
        """Remove what was used longest ago until the rest is within the limit; return the bytes that got free."""
        excess = sum(dict(inodes(self.root)).values()) - limit_bytes
        freed = 0
        for _ in range(2):  # a blob that folders share becomes free when the last of them went
            entries = [entry for kind in ("folders", "blobs") for entry in os.scandir(os.path.join(self.root, kind))]
            for entry in sorted(entries, key=lambda entry: entry.stat(follow_symlinks=False).st_mtime):
                shared = entry.is_file(follow_symlinks=False) and os.lstat(entry.path).st_nlink > 1
                if freed < excess and entry.name not in keep and not shared:
                    freed += remove(entry.path)
        return freed


def settle(folder: str) -> None:
    """Have what is in a folder written to the disk, before its name says that it is whole."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        ctypes.CDLL(None).syncfs(fd)
    finally:
        os.close(fd)


def inodes(path: str, most_links: int = 1 << 30) -> Iterator[tuple[int, int]]:
    """Yield the number and the bytes of a file, or of every file below a folder, that has no more links than given."""
    below = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    for file in below if os.path.isdir(path) else [path]:
        found = os.lstat(file)
        if found.st_nlink <= most_links:
            yield found.st_ino, found.st_size


def remove(path: str) -> int:
    """Remove a file or a folder; return the bytes that got free."""
    freed = sum(dict(inodes(path, most_links=1)).values())
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        os.unlink(path)
    return freed
