"""Bundles that others made: opened only if they are whole, of a known form and, if asked, signed by a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwloop.bundle.archive import unpack
from hwloop.bundle.shipped import verify
from hwloop.bundle.signing import check_signature
from hwloop.errors import UsageError
from hwloop.scratch import scratch_folder

EXPORT_AGAIN = "Copy or export it again."


@dataclass(frozen=True)
class OpenedBundle:
    """A bundle's files in a folder, each as its manifest says.

    `signed` is whether it bears a signature, `signed_by` the key that was found to have made it.
    """

    path: Path
    folder: Path
    manifest: Mapping[str, Any]
    signed: bool
    signed_by: Path | None


@contextmanager
def opened(path: Path, key_file: Path | None = None) -> Iterator[OpenedBundle]:
    """Open a bundle, an archive or a folder, for the length of the block; nothing of it was run.

    Raises:
        UsageError: there is none, it is damaged, or of a newer form; an archive holds links or names that lead
            outside; it was not signed by the private half of `key_file`.
    """
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder", remedy="Check the path.")
    if path.is_dir():
        yield _checked(path, path, key_file)
        return
    with scratch_folder("bundle") as folder:
        unpack(path, folder)
        yield _checked(path, folder, key_file)


def _checked(path: Path, folder: Path, key_file: Path | None) -> OpenedBundle:
    signature = folder / verify.SIGNATURE
    if key_file:
        _check_signature(path, folder, key_file)  # before anything is made of the manifest
    try:
        manifest = verify.checked(str(folder))
    except verify.Refused as error:
        raise UsageError(f"{path}: {error}", remedy=EXPORT_AGAIN) from error
    return OpenedBundle(path, folder, manifest, signature.is_file(), key_file)


def _check_signature(path: Path, folder: Path, key_file: Path) -> None:
    try:
        signature = (folder / verify.SIGNATURE).read_bytes()
        content = (folder / verify.MANIFEST).read_bytes()
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise UsageError(
            f"{path}: it has no {name}" + (": it is not signed" if name == verify.SIGNATURE else ""),
            remedy="Do not trust it, or export it with --sign.",
        ) from error
    try:
        check_signature(content, signature, key_file)
    except UsageError as error:
        raise UsageError(f"{path}: {error}", remedy=error.remedy) from error
