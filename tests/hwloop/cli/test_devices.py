"""`hwloop devices`, as it is typed, against this machine and a real sshd."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwloop.testing.sshd import Sshd, free_port, running_sshd

COMMAND = [sys.executable, "-c", "from hwloop.cli import main; main()", "devices"]


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with running_sshd() as server:
        yield server


@pytest.fixture
def hwloop(tmp_path: Path):
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "HWLOOP_CONFIG_DIR": str(tmp_path / "config"),
        "HWLOOP_CACHE_DIR": str(tmp_path / "cache"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "COLUMNS": "200",
    }
    environment.pop("HWLOOP_DEVICES", None)
    environment.pop("SSH_AUTH_SOCK", None)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def fleet(tmp_path: Path, sshd: Sshd) -> Path:
    file = tmp_path / "devices.yaml"
    file.write_text(
        "devices:\n"
        "  here: {transport: local, tags: [host]}\n"
        f"  board: {{transport: ssh, host: {sshd.host}, port: {sshd.port}, key_file: {sshd.key_file}, tags: [arm64]}}\n"
        f"  off: {{transport: ssh, host: {sshd.host}, port: {free_port()}, tags: [dead]}}\n"
    )
    return file


def fingerprint(sshd: Sshd) -> str:
    key = sshd.folder / "host_key.pub"
    return subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True).stdout.split()[1]


class TestList:
    def test_shows_the_fleet_without_connecting(self, hwloop, fleet: Path):
        shown = hwloop("list")
        assert shown.returncode == 0
        rows = [line.split()[:2] for line in shown.stdout.splitlines()]
        assert rows == [["device", "transport"], ["here", "local"], ["board", "ssh"], ["off", "ssh"]]

    def test_as_json_by_tag(self, hwloop, fleet: Path):
        (item,) = json.loads(hwloop("list", "arm64", "--json").stdout)
        assert (item["name"], item["transport"], item["tags"]) == ("board", "ssh", ["arm64"])

    def test_without_a_file_there_is_this_machine(self, hwloop):
        assert [item["name"] for item in json.loads(hwloop("list", "--json").stdout)] == ["local"]

    def test_a_file_with_mistakes_ends_with_all_of_them_and_2(self, hwloop, fleet: Path):
        fleet.write_text("devices:\n  a: {transport: ssh}\n  b: {transport: locl}\n")
        shown = hwloop("list")
        assert shown.returncode == 2
        assert shown.stdout == ""
        assert "line 2" in shown.stderr and "line 3" in shown.stderr and "`local`" in shown.stderr

    def test_an_unknown_device_ends_with_2(self, hwloop, fleet: Path):
        shown = hwloop("list", "bord")
        assert shown.returncode == 2
        assert "`board`" in shown.stderr


class TestCheckAndFacts:
    def test_this_machine_is_fine(self, hwloop, fleet: Path):
        shown = hwloop("check", "here", "--json")
        (item,) = json.loads(shown.stdout)
        del item["holder"]  # somebody else may be measuring on this machine just now
        assert (shown.returncode, item) == (0, {"device": "here", "ok": True, "problems": [], "remedy": ""})

    def test_one_bad_device_does_not_hide_the_others_and_ends_with_3(self, hwloop, fleet: Path):
        shown = hwloop("check")
        assert shown.returncode == 3
        assert shown.stdout.splitlines()[0].split()[:2] == ["here", "OK"]
        assert "hwloop devices trust board" in shown.stdout
        assert "Connection refused" in shown.stdout

    def test_a_device_over_ssh_tells_its_facts(self, hwloop, fleet: Path, sshd: Sshd):
        hwloop("trust", "board", "--fingerprint", fingerprint(sshd))
        shown = hwloop("facts", "board", "--json")
        assert shown.returncode == 0, shown.stderr
        (item,) = json.loads(shown.stdout)
        assert item["facts"]["machine"] == os.uname().machine
        assert item["evidence"]["load_1min"] >= 0
        assert item["error"] is None

    def test_a_target_that_the_device_is_not_is_told(self, hwloop, fleet: Path):
        fleet.write_text(
            "devices: {here: {transport: local, target: {triple: riscv64-linux-gnu, cpu: generic, glibc: '2.28'}}}"
        )
        shown = hwloop("check")
        assert shown.returncode == 3
        assert "riscv64" in shown.stdout


class TestTrust:
    def test_pins_a_key_of_the_given_fingerprint(self, hwloop, fleet: Path, sshd: Sshd):
        assert hwloop("check", "board").returncode == 3
        shown = hwloop("trust", "board", "--fingerprint", fingerprint(sshd), "--json")
        assert shown.returncode == 0
        assert json.loads(shown.stdout)[0]["fingerprint"] == fingerprint(sshd)
        assert hwloop("check", "board").stdout.split()[:2] == ["board", "OK"]
        assert "pinned already" in hwloop("trust", "board").stdout

    def test_refuses_a_key_of_another_fingerprint(self, hwloop, fleet: Path, tmp_path: Path):
        shown = hwloop("trust", "board", "--fingerprint", "SHA256:" + "A" * 43)
        assert shown.returncode == 3
        assert "not the given fingerprint" in shown.stderr
        assert not (tmp_path / "config" / "known_hosts").exists()

    def test_asks_nobody_where_nobody_is(self, hwloop, fleet: Path, sshd: Sshd, tmp_path: Path):
        shown = hwloop("trust", "board")
        assert shown.returncode == 2
        assert f"--fingerprint {fingerprint(sshd)}" in shown.stderr
        assert not (tmp_path / "config" / "known_hosts").exists()

    def test_yes_takes_what_is_shown(self, hwloop, fleet: Path):
        assert hwloop("trust", "board", "--yes").returncode == 0

    def test_a_changed_key_needs_replace(self, hwloop, fleet: Path, tmp_path: Path):
        assert hwloop("trust", "board", "--yes").returncode == 0
        with running_sshd() as other:
            port = json.loads(hwloop("list", "board", "--json").stdout)[0]["port"]
            fleet.write_text(fleet.read_text().replace(str(port), str(other.port)))
            shown = hwloop("trust", "board", "--yes")
            assert shown.returncode == 3
            assert "changed" in shown.stderr and "--replace" in shown.stderr
            assert hwloop("trust", "board", "--yes", "--replace").returncode == 0
            assert "pinned already" in hwloop("trust", "board", "--yes").stdout

    def test_a_jump_host_is_pinned_with_its_device(self, hwloop, fleet: Path, sshd: Sshd, tmp_path: Path):
        with running_sshd() as gate:
            (tmp_path / ".ssh").mkdir()
            (tmp_path / ".ssh" / "config").write_text(
                f"Host gate\n  HostName {gate.host}\n  Port {gate.port}\n  IdentityFile {gate.key_file}\n"
            )
            fleet.write_text(fleet.read_text().replace("tags: [arm64]", "jump: gate"))
            wanted = ["--fingerprint", fingerprint(gate), "--fingerprint", fingerprint(sshd)]
            assert hwloop("trust", "board", *wanted).returncode == 0
            pinned = (tmp_path / "config" / "known_hosts").read_text().splitlines()
            assert [line.split()[0] for line in pinned] == [f"[{gate.host}]:{gate.port}", "board"]
            assert hwloop("check", "board").stdout.split()[:2] == ["board", "OK"]

    def test_other_devices_need_none(self, hwloop, fleet: Path):
        shown = hwloop("trust", "here", "--json")
        assert (shown.returncode, json.loads(shown.stdout)) == (0, [])


def test_listing_imports_no_ssh(tmp_path: Path):
    code = (
        "import sys; from typer.testing import CliRunner; from hwloop.cli.devices import app;"
        "CliRunner().invoke(app, ['list']); print('paramiko' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert ended.stdout.strip() == "False"
