"""The linkers that can turn object files into a shared library for a target."""

from __future__ import annotations

import importlib.util
import mmap
import platform
import re
import shutil
import sys
from pathlib import Path

from hwloop.errors import UsageError
from hwloop.records import Target

NATIVE = ("cc", "gcc", "clang")
GLIBC_NAME = re.compile(rb"GLIBC_(\d+)\.(\d+)\b")


def linkers_for(target: Target) -> list[list[str]]:
    """Return the commands that can link for `target`, the quickest first.

    The host's own compiler serves its own architecture, Debian's cross compiler another one. Both bind to the glibc
    that they came with; ziglang from PyPI comes last and binds to the target's.

    Raises:
        UsageError: none is installed.
    """
    found = []
    if target.machine == platform.machine():
        found += [[path] for name in NATIVE if (path := shutil.which(name))][:1]
    if cross := shutil.which(f"{target.triple}-gcc"):
        found.append([cross])
    if importlib.util.find_spec("ziglang"):
        glibc = f"{target.glibc[0]}.{target.glibc[1]}"
        found.append([sys.executable, "-m", "ziglang", "cc", "-target", f"{target.triple}.{glibc}"])
    if not found:
        raise UsageError(
            f"there is no linker for {target.triple} on this host",
            remedy="Install hwloop's [tvm] extra (it brings ziglang), or Debian's gcc-aarch64-linux-gnu.",
        )
    return found


def needed_glibc(library: Path) -> tuple[int, int]:
    """Return the newest glibc version that a shared library names; (0, 0) where it names none."""
    if library.stat().st_size == 0:  # which cannot be mapped
        return (0, 0)
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        versions = [(int(major), int(minor)) for major, minor in GLIBC_NAME.findall(content)]
    return max(versions, default=(0, 0))
