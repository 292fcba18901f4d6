"""Files out of a Debian package, which apt fetches; nothing is installed, and nobody has to be root."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.errors import FetchError
from hwloop.packages import PackageFiles, check_files

COPYRIGHT = "/copyright"
APT = "Run `apt-get update` first; it takes Debian, or a system made from it."


def from_debian(wanted: PackageFiles, folder: Path, deadline: Deadline) -> dict[str, bytes]:
    """Return the wanted files of a Debian package, and its copyright, by their paths from the root.

    Raises:
        FetchError: the package could not be fetched, or holds other files.
    """
    name = wanted.requirement
    run_tool(name, ["apt-get", "download", "--quiet", name], folder, deadline)
    path = next(folder.glob("*.deb"))
    content = run_tool(name, ["dpkg-deb", "--fsys-tarfile", path.name], folder, deadline)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            place = member.name.removeprefix("./")
            if (place in wanted.digests or place.endswith(COPYRIGHT)) and (file := archive.extractfile(member)):
                found[place] = file.read()
    check_files(path.name, found, wanted.digests)
    return found


def run_tool(package: str, command: Sequence[str], folder: Path, deadline: Deadline) -> bytes:
    """Return what a tool of Debian's prints, run in a folder to fetch a package.

    Raises:
        FetchError: the tool is not there, failed, or took too long.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline.remaining_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise FetchError(f"{package} comes from Debian, and there is no {command[0]} here", remedy=APT) from error
    except subprocess.TimeoutExpired as error:
        raise FetchError(
            f"fetching {package} took too long", remedy="Check the network and run the command again."
        ) from error
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise FetchError(f"{command[0]} could not fetch {package}: {words[-1].removeprefix('E: ')}", remedy=APT)
    return done.stdout
