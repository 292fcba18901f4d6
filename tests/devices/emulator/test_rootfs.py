from __future__ import annotations

from pathlib import Path

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.emulator import rootfs as rootfs_module
from hwloop.devices.emulator.rootfs import emulator_dir, ensure_rootfs
from hwloop.errors import EmulatorError

pytestmark = pytest.mark.emulated


@pytest.fixture
def empty_cache(rootfs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HWLOOP_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(rootfs_module, "mirror", lambda: "http://127.0.0.1:9/debian")
    return tmp_path


def test_a_build_that_fails_says_so_and_leaves_no_root_file_system(empty_cache: Path):
    said: list[str] = []
    with pytest.raises(EmulatorError, match="debootstrap failed"):
        ensure_rootfs(said.append, Deadline.after(60))
    assert "MB to fetch" in said[0]
    assert [path.name for path in emulator_dir().iterdir()] == ["build.lock"]


def test_what_a_broken_build_left_is_cleared_by_the_next(empty_cache: Path):
    left = emulator_dir() / "bookworm-arm64.building.1"
    (left / "proc").mkdir(parents=True)
    with pytest.raises(EmulatorError):
        ensure_rootfs(print, Deadline.after(60))
    assert not left.exists()


def test_a_root_file_system_that_is_there_is_only_found(rootfs: Path):
    said: list[str] = []
    assert ensure_rootfs(said.append, Deadline.after(5)) == rootfs
    assert said == []
