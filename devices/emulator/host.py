"""What the emulator needs of this host: root, Debian packages, the kernel's binfmt_misc."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.errors import EmulatorError

# Program, or file → Debian package.
NEEDED = {
    "debootstrap": "debootstrap",
    "qemu-aarch64": "qemu-user",
    "qemu-aarch64-static": "qemu-user-static",
    "update-binfmts": "binfmt-support",
    "gcc": "gcc",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
BINFMT = Path("/proc/sys/fs/binfmt_misc")
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")

Say = Callable[[str], None]


def find_program(name: str) -> str | None:
    """Return a program's path; the system's folders count even where PATH leaves them out."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS]))


@cache
def root_prefix() -> tuple[str, ...]:
    """Return what precedes a command that needs root: nothing for root, `sudo -n` for others.

    Raises:
        EmulatorError: this user is not root and sudo asks for a password.
    """
    if os.geteuid() == 0:
        return ()
    sudo = find_program("sudo")
    if sudo:
        asked = subprocess.run([sudo, "-n", "true"], capture_output=True, timeout=10, check=False)
        if asked.returncode == 0:
            return (sudo, "-n")
    raise EmulatorError(
        "the emulator needs root for its root file system and its mounts",
        remedy="Run `sudo -v` first, or run hwloop as root.",
    )


def run_as_root(command: Sequence[str], deadline: Deadline, within: Sequence[str] = ()) -> str:
    """Run a command as root, `within` before it, and return its output.

    Raises:
        EmulatorError: it failed, or did not end in time; the message carries its last words.
    """
    program = find_program(command[0]) or command[0]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    environment["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
    try:
        ended = subprocess.run(
            [*root_prefix(), *within, program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            timeout=deadline.remaining_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EmulatorError(
            f"{command[0]} did not end in time", remedy="Check the network, or allow more time."
        ) from error
    except OSError as error:
        raise EmulatorError(f"{command[0]} cannot be started: {error.strerror}") from error
    if ended.returncode != 0:
        words = (ended.stderr.strip() or ended.stdout.strip() or f"status {ended.returncode}").splitlines()
        remedy = "In a container, mounts need --privileged." if command[0] in ("mount", "unshare") else ""
        raise EmulatorError(f"{command[0]} failed: {words[-1]}", remedy=remedy)
    return ended.stdout


def prepare(say: Say, deadline: Deadline) -> None:
    """Install the packages that are missing and let the kernel start aarch64 programs through QEMU.

    Raises:
        EmulatorError: this host cannot do it; the message names what is missing.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise EmulatorError(
            f"the emulator runs on x86-64 Linux; this is {platform.machine()} {platform.system()}",
            remedy="Measure on a real board instead.",
        )
    missing = sorted({package for name, package in NEEDED.items() if not _is_here(name)})
    if missing:
        _install(missing, say, deadline)
    _register_binfmt(deadline)


def _is_here(name: str) -> bool:
    return Path(name).exists() if name.startswith("/") else find_program(name) is not None


def _install(packages: list[str], say: Say, deadline: Deadline) -> None:
    if not find_program("apt-get"):
        raise EmulatorError(
            f"the emulator needs {', '.join(packages)}, and this host has no apt-get to install them",
            remedy="Install them with this system's package manager.",
        )
    root_prefix()
    say(f"Installing Debian packages for the emulator: {', '.join(packages)} (about 60 MB).")
    run_as_root(["apt-get", "update", "-q"], deadline)
    run_as_root(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages], deadline)


def _register_binfmt(deadline: Deadline) -> None:
    if not (BINFMT / "register").exists():
        run_as_root(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)], deadline)
    entry = BINFMT / "qemu-aarch64"
    if not _registered(entry):
        run_as_root(["update-binfmts", "--enable", "qemu-aarch64"], deadline)
    if not _registered(entry):
        raise EmulatorError(
            "the kernel does not start aarch64 programs: binfmt_misc has no qemu-aarch64 with flag F",
            remedy="Reinstall qemu-user-static, then check `update-binfmts --display qemu-aarch64`.",
        )


def _registered(entry: Path) -> bool:
    """Whether QEMU is registered with its file held open (F), so that a chroot need not hold it."""
    if not entry.exists():
        return False
    lines = entry.read_text().splitlines()
    flags = "".join(line.partition(":")[2] for line in lines if line.startswith("flags:"))
    return lines[0] == "enabled" and "F" in flags
