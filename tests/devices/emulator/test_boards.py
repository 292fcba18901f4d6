from __future__ import annotations

import pytest

from hwloop.devices.emulator.boards import BOARDS, board_named
from hwloop.errors import UsageError


@pytest.mark.parametrize(("name", "part"), [("pi4", "0xd08"), ("pi3", "0xd03")])
def test_a_board_shows_its_own_cpu_once_per_core(name: str, part: str):
    cpuinfo = BOARDS[name].files()["proc/cpuinfo"]
    assert cpuinfo.count(f"CPU part\t: {part}") == 4
    assert [line for line in cpuinfo.splitlines() if line.startswith("processor")] == [
        f"processor\t: {core}" for core in range(4)
    ]


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_every_core_has_a_topology(board):
    files = board.files()
    assert files["sys/devices/system/cpu/possible"] == "0-3\n"
    for core in range(board.cores):
        assert files[f"sys/devices/system/cpu/cpu{core}/topology/core_id"] == f"{core}\n"


def test_boards_do_not_share_a_port():
    assert len({board.port for board in BOARDS.values()}) == len(BOARDS)


def test_an_unknown_board_is_refused_with_those_that_there_are():
    with pytest.raises(UsageError, match="no emulated board 'pi9'") as refused:
        board_named("pi9")
    assert "pi4" in refused.value.remedy
