"""From devices.yaml and ~/.ssh/config to the servers on the way."""

import getpass
from pathlib import Path

import pytest

from hwloop.devices.fleet import SshDevice
from hwloop.devices.transports.ssh_config import Hop, hops_to
from hwloop.errors import UsageError


@pytest.fixture(autouse=True)
def ssh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path / ".ssh"


def way(config: str, **settings: object) -> list[Hop]:
    (Path.home() / ".ssh" / "config").write_text(config)
    return hops_to("board", SshDevice.model_validate({"transport": "ssh", "host": "board.local", **settings}))


def addresses(hops: list[Hop]) -> list[str]:
    return [f"{hop.user}@{hop.host}:{hop.port}" for hop in hops]


def test_without_any_configuration_ssh_s_defaults_hold(ssh_folder: Path):
    (ssh_folder / "id_rsa").touch()
    (hop,) = hops_to("board", SshDevice(transport="ssh", host="board.local"))
    assert hop == Hop("board", "board.local", 22, getpass.getuser(), (ssh_folder / "id_rsa",))


def test_the_configuration_file_is_honoured():
    (hop,) = way(
        "Host board.*\n  HostName 10.0.0.9\n  Port 2200\n  User pi\n"
        "  IdentityFile ~/.ssh/board\n  IdentityFile ~/.ssh/spare\n  IdentitiesOnly yes\n"
        "Host *\n  User nobody\n"
    )
    home = Path.home()
    assert addresses([hop]) == ["pi@10.0.0.9:2200"]
    assert hop.key_files == (home / ".ssh/board", home / ".ssh/spare")
    assert hop.identities_only
    assert hop.name == "board"


def test_what_devices_yaml_says_goes_first():
    config = "Host board.local\n  Port 2200\n  User pi\n  IdentityFile ~/.ssh/board\n  ProxyJump gate\n"
    hops = way(config, port=22, user="me", key_file="~/mine", jump="other")
    assert addresses(hops) == [f"{getpass.getuser()}@other:22", "me@board.local:22"]
    assert hops[-1].key_files == (Path.home() / "mine",)


def test_jump_hosts_come_in_order_each_with_its_own_configuration():
    hops = way("Host gate\n  HostName gate.example\n  User me\n", jump="gate, you@[::1]:2222 ,third:23")
    assert addresses(hops)[:3] == ["me@gate.example:22", "you@::1:2222", f"{getpass.getuser()}@third:23"]
    assert [hop.name for hop in hops] == ["[gate.example]:22", "[::1]:2222", "[third]:23", "board"]


def test_jump_hosts_may_have_jump_hosts():
    hops = way("Host board.local\n ProxyJump inner\nHost inner\n ProxyJump outer\nHost *\n User u\n")
    assert addresses(hops) == ["u@outer:22", "u@inner:22", "u@board.local:22"]


def test_proxy_jump_none_means_none():
    assert len(way("Host board.local\n  ProxyJump none\nHost *\n  ProxyJump gate\n")) == 1


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("Host *\n  ProxyJump gate\n", "circle"),
        ("Host board.local\n  ProxyCommand nc %h %p\n", "ProxyCommand"),
        ("Host board.local\n  Port many\n", "many"),
        ("Host board.local\n  ProxyJump a@b@c\n", "a@b@c"),
        ("Nonsense\n", "Nonsense"),
        ("Match nonsense\n  Port 3\n", "config"),
        ("Include config\n", "circle"),
    ],
)
def test_what_cannot_be_done_is_told(config: str, words: str):
    with pytest.raises(UsageError, match=words) as caught:
        way(config)
    assert caught.value.remedy


def test_included_files_are_read_where_they_stand(ssh_folder: Path):
    (ssh_folder / "conf.d").mkdir()
    (ssh_folder / "conf.d" / "a").write_text("Host board.local\n  User included\n")
    hops = way("Include conf.d/* none\nHost board.local\n  User late\n  Port 99\n")
    assert addresses(hops) == ["included@board.local:99"]


def test_after_an_included_file_its_block_goes_on(ssh_folder: Path):
    (ssh_folder / "more").write_text("Host other\n  User wrong\n")
    assert addresses(way("Host board.local\n  Include more\n  User right\n")) == ["right@board.local:22"]


def test_an_agent_can_be_refused():
    assert not way("Host *\n  IdentityAgent none\n")[0].use_agent
