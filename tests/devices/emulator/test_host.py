from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.emulator import host
from hwloop.errors import EmulatorError

SOON = 5.0


@pytest.fixture(autouse=True)
def ask_sudo_anew():
    host.root_prefix.cache_clear()
    yield
    host.root_prefix.cache_clear()


@pytest.fixture
def bare_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host that has no programs at all; returns the only folder that it looks for them in."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(host, "SYSTEM_FOLDERS", ())
    return tmp_path


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "aarch64")])
def test_another_kind_of_host_is_refused(monkeypatch: pytest.MonkeyPatch, system: str, machine: str):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(EmulatorError, match=f"this is {machine} {system}"):
        host.prepare(print, Deadline.after(SOON))


def test_a_user_without_root_or_sudo_hears_what_to_do(bare_host: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EmulatorError, match="needs root") as refused:
        host.root_prefix()
    assert "sudo -v" in refused.value.remedy


def test_a_sudo_that_asks_for_a_password_is_as_good_as_none(bare_host: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (bare_host / "sudo").write_text("#!/bin/sh\nexit 1\n")
    (bare_host / "sudo").chmod(0o755)
    with pytest.raises(EmulatorError, match="needs root"):
        host.root_prefix()


def test_a_sudo_without_a_password_precedes_every_command(bare_host: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (bare_host / "sudo").write_text('#!/bin/sh\nexec "$2" sudo\n')
    (bare_host / "sudo").chmod(0o755)
    (bare_host / "true").write_text("#!/bin/sh\nexit 0\n")
    (bare_host / "true").chmod(0o755)
    assert host.root_prefix() == (str(bare_host / "sudo"), "-n")


def test_a_host_without_apt_hears_which_packages_are_missing(bare_host: Path):
    with pytest.raises(EmulatorError, match=r"needs .*debootstrap.*qemu-user.* no apt-get"):
        host.prepare(print, Deadline.after(SOON))


def test_a_command_that_fails_is_reported_with_its_last_words():
    with pytest.raises(EmulatorError, match="sh failed: the reason"):
        host.run_as_root(["sh", "-c", "echo first >&2; echo the reason >&2; exit 3"], Deadline.after(SOON))


def test_a_command_that_hangs_is_ended_at_the_deadline():
    with pytest.raises(EmulatorError, match="sleep did not end in time"):
        host.run_as_root(["sleep", "60"], Deadline.after(0.1))


def test_a_command_that_is_not_there_is_named():
    with pytest.raises(EmulatorError, match="no-such-program cannot be started"):
        host.run_as_root(["no-such-program"], Deadline.after(SOON))


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("enabled\ninterpreter /usr/bin/qemu\nflags: PF\noffset 0\n", True),
        ("enabled\ninterpreter /usr/bin/qemu\nflags: P\noffset 0\n", False),
        ("disabled\ninterpreter /usr/bin/qemu\nflags: F\noffset 0\n", False),
    ],
)
def test_only_a_registration_that_works_in_a_chroot_counts(tmp_path: Path, text: str, usable: bool):
    (tmp_path / "entry").write_text(text)
    assert host._registered(tmp_path / "entry") is usable
    assert not host._registered(tmp_path / "nothing")
