"""The transport to an emulated board."""

import os
from pathlib import Path

import pytest

from hwloop.deadline import Deadline
from hwloop.devices import emulator
from hwloop.devices.fleet import Device, EmulatedDevice
from hwloop.devices.transports.factory import open_session, open_transport

pytestmark = [pytest.mark.emulated, pytest.mark.timeout(1500)]
BOARD = Device("my-pi", EmulatedDevice(transport="emulated", board="pi4"))


def soon() -> Deadline:
    return Deadline.after(60)


def test_opening_starts_the_board_and_trusts_the_key_that_it_was_given(own_boards: Path, tmp_path: Path):
    transport = open_transport(BOARD, print)
    assert transport.run(["uname", "-m"], soon()).stdout == b"aarch64\n"
    (tmp_path / "source").write_bytes(os.urandom(1 << 20))
    transport.put(tmp_path / "source", "/tmp/there/a b", soon())
    assert transport.get("/tmp/there/a b", soon()) == (tmp_path / "source").read_bytes()
    transport.close()
    assert [board.running for board in emulator.status() if board.name == "pi4"] == [True]


def test_a_command_that_never_ends_leaves_nothing_behind(own_boards: Path):
    transport = open_transport(BOARD, print)
    process = transport.start(["sh", "-c", "sleep 600 & echo $!; exec sleep 600"], soon())
    child = process.read_line(soon()).decode()
    assert transport.run(["kill", "-0", child], soon()).status == 0
    process.kill()
    assert transport.run(["kill", "-0", child], soon()).status == 1
    transport.close()


def test_a_board_that_went_down_is_started_again(own_boards: Path):
    transport = open_transport(BOARD, print)
    emulator.down("pi4")
    transport.open(Deadline.after(300))
    assert transport.run(["true"], soon()).status == 0
    transport.close()


def test_its_session_counts_instructions(own_boards: Path):
    session = open_session(BOARD, print)
    assert session.counted
    assert session.facts.machine == "aarch64"
    session.close()
