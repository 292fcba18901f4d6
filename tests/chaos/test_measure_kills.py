"""Whatever of a measuring run is killed, and whenever: the same command ends it, and nothing is lost, wrong or left."""

import sys

import pytest

from hwloop.testing.kills import is_pythons_probe, kill_campaign
from hwloop.testing.sshd import running_sshd


def local(folder):
    return {"transport": "local", "cache_dir": str(folder / "device"), "limits": {"settle_s": 0}}


@pytest.mark.parametrize("content", [b"", b"blat"])
def test_the_file_with_which_python_tries_a_folder_is_nothing_left_behind(tmp_path, content):
    (tmp_path / "k35pprfd").write_bytes(content)
    assert is_pythons_probe(tmp_path / "k35pprfd")


@pytest.mark.parametrize(
    ("name", "content"), [("k35pprfd", b"blat more"), ("tmpk35pprfd", b""), ("hwloop-x", b""), ("MODEL123", b"")]
)
def test_every_other_file_is(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert not is_pythons_probe(tmp_path / name)


def test_a_folder_of_such_a_name_is_left_behind(tmp_path):
    (tmp_path / "k35pprfd").mkdir()
    assert not is_pythons_probe(tmp_path / "k35pprfd")


@pytest.mark.parametrize("seed", [1])
def test_a_few_kills_on_this_machine(tmp_path, seed):
    found = kill_campaign(tmp_path, local(tmp_path), kills=8, seed=seed)
    assert found.sound, found


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [11, 12])
def test_a_hundred_kills_on_this_machine(tmp_path, seed):
    found = kill_campaign(tmp_path, local(tmp_path), kills=100, seed=seed)
    print(found)
    assert found.sound, found


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_forty_kills_on_a_real_ssh_server(tmp_path):
    with running_sshd() as server:
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "known_hosts").write_text(f"box {server.host_key}\n")
        settings = {
            **local(tmp_path),
            "transport": "ssh",
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "key_file": str(server.key_file),
            "python": sys.executable,
        }
        environment = {"HWLOOP_CONFIG_DIR": str(tmp_path / "config")}
        found = kill_campaign(tmp_path, settings, kills=40, seed=21, environment=environment)
    print(found)
    assert found.sound, found
