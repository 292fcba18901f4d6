"""hwloop's folder on this device: blobs by digest, and folders assembled from them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from typing import Any

from .wire import Refused

DIGEST_LENGTH = 64


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
            for member in files.infolist():
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise Refused("the archive holds a link: %r" % member.filename)
                if not member.is_dir():
                    within(folder, member.filename)
                    files.extract(member, folder)
