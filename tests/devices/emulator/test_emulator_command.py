from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwloop.cli.emulator import app
from hwloop.errors import UsageError


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run `hwloop emulator` with a cache of its own, in which nothing was built or started."""
    monkeypatch.setenv("HWLOOP_CACHE_DIR", str(tmp_path))
    return lambda *words: CliRunner().invoke(app, list(words))


def test_status_as_json_is_one_document_with_every_board(run):
    boards = json.loads(run("status", "--json").stdout)
    assert {board["name"]: board["running"] for board in boards} == {"pi4": False, "pi3": False}


def test_status_is_a_line_a_board(run):
    lines = run("status").stdout.splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [("pi4", "down"), ("pi3", "down")]


def test_down_where_nothing_runs_is_no_error(run):
    assert run("down").stdout == "No board was running.\n"
    assert json.loads(run("down", "pi4", "--json").stdout) == {"stopped": []}


@pytest.mark.parametrize("command", ["up", "down"])
def test_an_unknown_board_is_a_usage_error(run, command: str):
    assert isinstance(run(command, "pi9").exception, UsageError)


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_help_shows_an_example(run, command: str):
    assert f"Example: hwloop emulator {command}" in run(command, "--help").stdout


@pytest.mark.emulated
def test_up_says_how_to_log_in_and_down_what_it_stopped(own_boards: Path):
    up = CliRunner().invoke(app, ["up", "pi4", "--json"])
    found = json.loads(up.stdout)["pi4"]
    assert Path(found["key_file"]).is_file()
    assert f"-p {found['port']} " in CliRunner().invoke(app, ["up"]).stdout
    assert CliRunner().invoke(app, ["down"]).stdout == "Stopped: pi4\n"
