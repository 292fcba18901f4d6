from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hwloop.deadline import Deadline
from hwloop.devices import emulator
from hwloop.devices.emulator.host import prepare
from hwloop.devices.emulator.rootfs import ensure_rootfs

BUILD_S = 1200.0
Ssh = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def rootfs() -> Path:
    """The user's root file system, built where it is not there yet."""
    deadline = Deadline.after(BUILD_S)
    prepare(print, deadline)
    return ensure_rootfs(print, deadline)


@pytest.fixture
def own_boards(rootfs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Boards of this test's own, beside those that the user may be running; they end with the test."""
    folder = tmp_path / "emulator"
    folder.mkdir()
    (folder / rootfs.name).symlink_to(rootfs)
    monkeypatch.setenv("HWLOOP_CACHE_DIR", str(tmp_path))
    yield folder
    emulator.down()


@pytest.fixture
def ssh(tmp_path: Path) -> Ssh:
    """Run a shell command on a board through OpenSSH, its host key pinned."""

    def run(endpoint: emulator.Endpoint, command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        known_hosts = tmp_path / f"known_hosts_{endpoint.port}"
        known_hosts.write_text(f"[{endpoint.host}]:{endpoint.port} {endpoint.host_key}\n")
        options = ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={known_hosts}", "IdentitiesOnly=yes"]
        words = [word for option in options for word in ("-o", option)]
        words += ["-F", "none", "-i", str(endpoint.key_file), "-p", str(endpoint.port)]
        return subprocess.run(
            ["ssh", *words, f"{endpoint.user}@{endpoint.host}", command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
