"""The linker driver that turns object files into a shared library for a target."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys

from hwloop.errors import UsageError
from hwloop.records import Target


def linker_for(target: Target) -> list[str]:
    """Return the command that links a shared library for `target`.

    The host's own compiler serves its own architecture; for others Debian's cross compiler, or ziglang from PyPI.

    Raises:
        UsageError: neither is installed.
    """
    if target.machine == platform.machine():
        native = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if native:
            return [native]
    cross = shutil.which(f"{target.triple}-gcc")
    if cross:
        return [cross]
    if importlib.util.find_spec("ziglang"):
        glibc = f"{target.glibc[0]}.{target.glibc[1]}"
        return [sys.executable, "-m", "ziglang", "cc", "-target", f"{target.triple}.{glibc}"]
    raise UsageError(
        f"there is no linker for {target.triple} on this host",
        remedy="Install hwloop's [tvm] extra (it brings ziglang), or Debian's gcc-aarch64-linux-gnu.",
    )
