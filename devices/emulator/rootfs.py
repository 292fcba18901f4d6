"""The arm64 root file system: built once, shared by all boards."""

from __future__ import annotations

import os
from pathlib import Path

from hwloop.apt_sources import mirror
from hwloop.deadline import Deadline
from hwloop.devices.emulator.counting import lay_counting_qemu
from hwloop.devices.emulator.host import Say, run_as_root
from hwloop.devices.emulator.locks import locked
from hwloop.paths import cache_dir

SUITE = "bookworm"
PACKAGES = "openssh-server,python3"
# debootstrap mounts file systems below its target: in a namespace of its own they end with it.
ISOLATED = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
REMOVE_S = 60.0


def emulator_dir() -> Path:
    """Return the emulator's folder in the user's cache."""
    return cache_dir() / "emulator"


def ensure_rootfs(say: Say, deadline: Deadline) -> Path:
    """Return the root file system with QEMU and the counting plugin in it; build what is missing.

    Raises:
        EmulatorError: it cannot be built.
    """
    folder = emulator_dir()
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / f"{SUITE}-arm64"
    with locked(folder / "build.lock", deadline):
        if not root.is_dir():
            _bootstrap(root, say, deadline)
        lay_counting_qemu(root, deadline)
    return root


def _bootstrap(root: Path, say: Say, deadline: Deadline) -> None:
    say("Building the emulator's arm64 root file system, once: 80 MB to fetch, 2 to 4 minutes.")
    for left in root.parent.glob(f"{root.name}.building.*"):
        _remove(left)
    building = root.with_name(f"{root.name}.building.{os.getpid()}")
    options = ["--arch=arm64", "--variant=minbase", f"--include={PACKAGES}"]
    try:
        run_as_root(["debootstrap", *options, SUITE, str(building), mirror()], deadline, within=ISOLATED)
        tidy = 'rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*'
        run_as_root(["sh", "-c", tidy, "sh", str(building)], deadline)
        run_as_root(["mv", "-T", str(building), str(root)], deadline)
    finally:
        _remove(building)


def _remove(folder: Path) -> None:
    run_as_root(["rm", "-rf", "--one-file-system", str(folder)], Deadline.after(REMOVE_S))
