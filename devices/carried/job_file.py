"""The archive that is carried to a device: `job.json` names every other file in it by content.

The digest of `job.json` is the job's, so equal jobs have equal digests, and results say which job they are of.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
import zlib
from typing import Any

FORMAT = 1
DOCUMENT = "job.json"
BLOBS, REFERENCES = "blobs/", "references/"


class JobRefused(Exception):
    """An archive that is no job, is damaged, or is of a newer hwloop."""


class JobFile:
    """An open archive; `document` is what `job.json` holds."""

    def __init__(self, path: str) -> None:
        """Open it.

        Raises:
            JobRefused: it is no job that this version can read.
        """
        self.path = path
        try:
            self.archive = zipfile.ZipFile(path)
            data = self.archive.read(DOCUMENT)
            document = json.loads(data.decode())
        except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise JobRefused("%s is no job of hwloop, or is damaged (%s)" % (path, error))
        found = document.get("format") if isinstance(document, dict) else None
        if found != FORMAT:
            raise JobRefused("%s is a job of format %s, and this hwloop reads format %d" % (path, found, FORMAT))
        self.digest = hashlib.sha256(data).hexdigest()
        self.document: dict[str, Any] = document

    @property
    def cells(self) -> list[dict[str, Any]]:
        """What is to be measured; a cell that could not be built has a `failure` and no `request`."""
        found: list[dict[str, Any]] = self.document["cells"]
        return found

    def check(self) -> None:
        """See that every file is here and is what `job.json` says.

        Raises:
            JobRefused: one is missing or has other content.
        """
        for name in self.document["files"]:
            self.read(name)

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            JobRefused: it is missing or has other content.
        """
        try:
            data = self.archive.read(name)
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise JobRefused("%s is damaged: %s cannot be read (%s)" % (self.path, name, error))
        if hashlib.sha256(data).hexdigest() != self.document["files"].get(name):
            raise JobRefused("%s is damaged: %s has other content than the job says" % (self.path, name))
        return data

    def extract(self, name: str, path: str) -> None:
        """Write a file's content to `path`, at once or not at all."""
        arriving = "%s.part.%d" % (path, os.getpid())
        with self.archive.open(name) as source, open(arriving, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        os.replace(arriving, path)
