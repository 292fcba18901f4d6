"""hwloop's folder on this device: blobs by digest, and folders assembled from them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from typing import TYPE_CHECKING, Any

from .wire import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGEST_LENGTH = 64
MOST_MEMBERS = 50_000
MOST_UNPACKED_BYTES = 8 << 30


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
    """Return a file's SHA-256 in hexadecimal digits."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            sha.update(block)
    return sha.hexdigest()


class Cache:
    """hwloop's folder on the device; everything in it is named by the digest of its content."""

    def __init__(self, root: str) -> None:
        self.root = root
        for name in ("", "blobs", "folders", "incoming"):
            os.makedirs(os.path.join(root, name), mode=0o700, exist_ok=True)
        found = os.stat(root)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise Refused("the cache folder %s is another user's, or writable by others" % root)

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
        """Say which of the named blobs and folders are not here."""
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
            os.rename(building, target)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        for digest in request["archives"]:
            os.unlink(self.blob(digest))
        return {}

    @staticmethod
    def unpack(archive: str, folder: str) -> None:
        """Unpack a zip archive; refuse links and names that lead outside."""
        with zipfile.ZipFile(archive) as files:
            members = files.infolist()
            if len(members) > MOST_MEMBERS or sum(one.file_size for one in members) > MOST_UNPACKED_BYTES:
                raise Refused("the archive would unpack to more than is allowed")
            for member in members:
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise Refused("the archive holds a link: %r" % member.filename)
                if not member.is_dir():
                    within(folder, member.filename)
                    files.extract(member, folder)

    def sweep(self) -> None:
        """Remove what dead sessions left half done; call it with the lease alone."""
        for folder, marks in ((os.path.join(self.root, "incoming"), ("",)), (self.root, (".part.",))):
            for entry in os.scandir(folder):
                if any(mark in entry.name for mark in marks):
                    remove(entry.path)

    def trim(self, limit_bytes: int, keep: set[str]) -> int:
        """Remove what was used longest ago until the rest is within the limit; return the bytes that got free."""
        excess = sum(dict(inodes(self.root)).values()) - limit_bytes
        freed = 0
        for _ in range(2):  # a blob that folders share becomes free when the last of them went
            entries = [entry for kind in ("folders", "blobs") for entry in os.scandir(os.path.join(self.root, kind))]
            for entry in sorted(entries, key=lambda entry: entry.stat().st_mtime):
                shared = entry.is_file() and entry.stat().st_nlink > 1
                if freed < excess and entry.name not in keep and not shared:
                    freed += sum(size for _, size in inodes(entry.path, most_links=1))
                    remove(entry.path)
        return freed


def inodes(path: str, most_links: int = 1 << 30) -> Iterator[tuple[int, int]]:
    """Yield the number and the bytes of a file, or of every file below a folder, that has no more links than given."""
    below = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    for file in below if os.path.isdir(path) else [path]:
        found = os.lstat(file)
        if found.st_nlink <= most_links:
            yield found.st_ino, found.st_size


def remove(path: str) -> None:
    """Remove a file or a folder."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        os.unlink(path)
