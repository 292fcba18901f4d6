"""What is pushed: files by content, gathered in folders that are named by content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hwloop.digests import digest_json


@dataclass(frozen=True)
class Blob:
    """A local file and the SHA-256 of its content."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Folder:
    """A folder as it will stand on the device: `files` under their names, `archives` (zip) unpacked into it."""

    files: Mapping[str, Blob] = field(default_factory=dict)
    archives: tuple[Blob, ...] = ()

    @cached_property
    def digest(self) -> str:
        """The name of the folder on the device."""
        return digest_json(
            {
                "files": {name: blob.digest for name, blob in self.files.items()},
                "archives": [blob.digest for blob in self.archives],
            }
        )

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Everything that must be pushed for this folder."""
        return (*self.files.values(), *self.archives)
