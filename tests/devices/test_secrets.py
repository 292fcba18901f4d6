"""Passwords that somebody writes where they do not belong are refused, and shown nowhere."""

import json
import os
import subprocess
import sys

import pytest

from hwloop.devices.fleet import load_fleet
from hwloop.errors import ConfigError

PASSWORDS = ["hunter2", "hun,ter2", "hun/ter2", "hun@ter2", "hun ter2", "h:u:nter2"]


def fleet_file(folder, **settings):
    file = folder / "devices.yaml"
    file.write_text(json.dumps({"devices": {"box": {"transport": "ssh", "host": "box.example", **settings}}}))
    return file


def parts_of(password):
    """What no output may hold: the password, and its ends where it was cut."""
    return [part for part in (password, password[-4:]) if len(part) > 3]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    ("key", "form"),
    [
        ("host", "me:{}@box.example"),
        ("host", "ssh://me:{}@box.example"),
        ("user", "me:{}@"),
        ("jump", "me:{}@gate.example"),
        ("jump", "first.example, me:{}@gate.example:2222"),
        ("jump", "ssh://me:{}@gate.example"),
    ],
)
def test_a_password_in_an_address_is_refused_and_not_shown(tmp_path, key, form, password):
    with pytest.raises(ConfigError) as told:
        load_fleet(fleet_file(tmp_path, **{key: form.format(password)}))
    problem = told.value.problems[0]
    shown = repr(told.value.problems) + str(told.value)
    assert problem.path.endswith(key)
    assert not [part for part in parts_of(password) if part in shown]


@pytest.mark.parametrize("words", [["devices", "list"], ["devices", "check"], ["devices", "release", "box", "--yes"]])
def test_no_command_prints_it(tmp_path, words):
    fleet_file(tmp_path, jump="me:hunter2@gate.example", password="hunter2")
    environment = {**os.environ, "HWLOOP_STORE": str(tmp_path / "store.sqlite")}
    ended = subprocess.run(
        [sys.executable, "-m", "hwloop", *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "hunter2" not in ended.stdout + ended.stderr
    assert not (tmp_path / "store.sqlite").exists()
