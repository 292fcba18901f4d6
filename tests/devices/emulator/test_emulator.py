from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from hwloop.deadline import Deadline
from hwloop.devices import emulator
from hwloop.devices.emulator.boards import BOARDS
from hwloop.devices.emulator.emulator import running_pid
from hwloop.errors import EmulatorError

pytestmark = pytest.mark.emulated


def up(name: str) -> emulator.Endpoint:
    return emulator.up(name, Deadline.after(60), print)


def processes_of(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            root = (process / "root").readlink()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(root).startswith(str(folder)) or os.fsencode(folder) in command:
            found.append(command.decode(errors="replace"))
    return found


def test_a_board_looks_like_a_raspberry_pi_over_ssh(own_boards: Path, ssh):
    board = up("pi4")
    asked = ssh(board, "uname -m; hostname; grep -c 0xd08 /proc/cpuinfo; cat /sys/devices/system/cpu/possible")
    assert asked.stdout.split() == ["aarch64", "pi4", "4", "0-3"]


def test_it_runs_on_the_boards_cpu(own_boards: Path, ssh):
    for name in BOARDS:
        assert ssh(up(name), "echo $QEMU_CPU").stdout.strip() == BOARDS[name].qemu_cpu


def test_a_board_that_runs_is_left_as_it_is(own_boards: Path):
    first, pid = up("pi4"), running_pid(BOARDS["pi4"])
    assert up("pi4") == first
    assert running_pid(BOARDS["pi4"]) == pid


def test_down_leaves_no_process_no_mount_and_no_listener(own_boards: Path):
    board = up("pi4")
    assert processes_of(own_boards)
    assert emulator.down("pi4") == ["pi4"]
    assert processes_of(own_boards) == []
    assert str(own_boards) not in Path("/proc/self/mountinfo").read_text()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((board.host, board.port))


def test_down_ends_what_a_user_left_running(own_boards: Path, ssh):
    assert ssh(up("pi4"), "nohup setsid sleep 600 >/dev/null 2>&1 & echo started").stdout == "started\n"
    emulator.down()
    assert processes_of(own_boards) == []


def test_down_of_what_is_not_up_does_nothing(own_boards: Path):
    assert emulator.down() == []
    assert emulator.down("pi3") == []


def test_a_killed_board_comes_up_again_with_the_same_keys(own_boards: Path, ssh):
    before = up("pi4")
    pid = running_pid(BOARDS["pi4"])
    assert pid
    os.kill(pid, signal.SIGKILL)
    after = up("pi4")
    assert (after.host_key, after.key_file) == (before.host_key, before.key_file)
    assert running_pid(BOARDS["pi4"]) != pid
    assert ssh(after, "echo back").stdout == "back\n"


def test_a_board_comes_up_anew_when_its_cache_was_emptied_meanwhile(own_boards: Path, ssh):
    before = emulator.up("pi4", Deadline.after(60), print)
    shutil.rmtree(own_boards / "boards")
    after = emulator.up("pi4", Deadline.after(60), print)
    assert after.host_key != before.host_key
    assert ssh(after, "echo here").stdout == "here\n"


def test_status_tells_which_boards_run(own_boards: Path):
    assert not any(board.running for board in emulator.status())
    address = up("pi3").port
    found = {board.name: board for board in emulator.status()}
    assert (found["pi3"].running, found["pi3"].address) == (True, f"127.0.0.1:{address}")
    assert (found["pi4"].running, found["pi4"].pid, found["pi4"].address) == (False, None, None)


def test_a_home_outlives_its_board_and_is_no_other_boards(own_boards: Path, ssh):
    assert ssh(up("pi4"), "echo mine > ~/note").returncode == 0
    emulator.down("pi4")
    assert ssh(up("pi4"), "cat ~/note").stdout == "mine\n"
    assert ssh(up("pi3"), "ls ~").stdout == ""


def test_a_board_cannot_change_the_root_file_system(own_boards: Path, ssh):
    refused = ssh(up("pi4"), "touch /etc/changed")
    assert "Read-only file system" in refused.stderr


def test_only_the_boards_own_key_opens_it(own_boards: Path, ssh, tmp_path: Path):
    board = up("pi4")
    stranger = emulator.Endpoint(**{**vars(board), "key_file": tmp_path / "no_key"})
    refused = ssh(stranger, "true")
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_a_port_in_use_is_left_to_its_owner(own_boards: Path, ssh, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        taken = owner.getsockname()[1]
        monkeypatch.setitem(BOARDS, "pi4", type(BOARDS["pi4"])(**{**vars(BOARDS["pi4"]), "port": taken}))
        board = up("pi4")
    assert board.port != taken
    assert ssh(board, "echo here").stdout == "here\n"


def test_a_board_whose_sshd_will_not_start_says_why(own_boards: Path):
    up("pi4")
    emulator.down("pi4")
    key = own_boards / "boards" / "pi4" / "ssh" / "host_key"
    key.write_text("no key")
    with pytest.raises(EmulatorError, match=r"pi4 did not start: .*no hostkeys available"):
        up("pi4")
