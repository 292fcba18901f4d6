"""Pinned host keys."""

from pathlib import Path

import paramiko
import pytest

from hwloop.devices.trust import PinnedKeys, fingerprint
from hwloop.errors import ConfigError, HostKeyError
from hwloop.testing.sshd import make_key


@pytest.fixture
def keys(tmp_path: Path) -> list[paramiko.PKey]:
    return [paramiko.PKey.from_path(str(make_key(tmp_path / f"key{number}"))) for number in range(2)]


@pytest.fixture
def pinned(tmp_path: Path) -> PinnedKeys:
    return PinnedKeys(tmp_path / "config" / "known_hosts")


def test_the_fingerprint_is_openssh_s(keys: list[paramiko.PKey]):
    assert fingerprint(keys[0]) == keys[0].fingerprint


def test_an_unknown_key_is_refused_with_its_fingerprint_and_the_command(pinned: PinnedKeys, keys: list[paramiko.PKey]):
    with pytest.raises(HostKeyError) as caught:
        pinned.check("board", "board", keys[0])
    assert caught.value.fingerprint == fingerprint(keys[0])
    assert fingerprint(keys[0]) in str(caught.value)
    assert "hwloop devices trust board" in caught.value.remedy
    assert "ssh_host_ed25519_key.pub" in caught.value.remedy


def test_a_pinned_key_is_accepted_from_then_on(pinned: PinnedKeys, keys: list[paramiko.PKey]):
    pinned.pin("board", keys[0])
    PinnedKeys(pinned.path).check("board", "board", keys[0])
    assert pinned.key_types("board") == ("ssh-ed25519",)


def test_a_changed_key_is_refused_until_it_is_replaced(pinned: PinnedKeys, keys: list[paramiko.PKey]):
    pinned.pin("board", keys[0])
    with pytest.raises(HostKeyError, match="changed") as caught:
        pinned.check("board", "board", keys[1])
    assert "--replace" in caught.value.remedy
    pinned.pin("board", keys[1])
    pinned.check("board", "board", keys[1])


def test_the_key_of_one_device_is_not_that_of_another(pinned: PinnedKeys, keys: list[paramiko.PKey]):
    pinned.pin("board", keys[0])
    with pytest.raises(HostKeyError):
        pinned.check("board2", "board2", keys[0])


def test_a_jump_host_is_named_and_trusted_with_its_device(pinned: PinnedKeys, keys: list[paramiko.PKey]):
    with pytest.raises(HostKeyError, match=r"jump host \[gate\]:22") as caught:
        pinned.check("board", "[gate]:22", keys[0])
    assert "hwloop devices trust board" in caught.value.remedy


def test_the_file_is_openssh_s_and_keeps_its_other_lines(pinned: PinnedKeys, keys: list[paramiko.PKey]):
    pinned.path.parent.mkdir()
    pinned.path.write_text("# mine\nother ssh-ed25519 AAAA comment\n")
    pinned.pin("board", keys[0])
    pinned.pin("board", keys[1])
    line = f"board ssh-ed25519 {keys[1].get_base64()}"
    assert pinned.path.read_text().splitlines() == ["# mine", "other ssh-ed25519 AAAA comment", line]
    assert paramiko.HostKeys(str(pinned.path)).check("board", keys[1])
    assert [entry.name for entry in pinned.path.parent.iterdir()] == ["known_hosts"]


def test_a_given_key_needs_no_file(tmp_path: Path, keys: list[paramiko.PKey]):
    line = f"ssh-ed25519 {keys[0].get_base64()} a comment"
    PinnedKeys(tmp_path / "none", given={"pi4": line}).check("pi4", "pi4", keys[0])


@pytest.mark.parametrize("content", [b"board ssh-ed25519\n", b"\xff\xfe\x00"])
def test_a_broken_file_is_told(pinned: PinnedKeys, content: bytes):
    pinned.path.parent.mkdir()
    pinned.path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        pinned.pinned("board")
    assert str(pinned.path) in str(caught.value)
