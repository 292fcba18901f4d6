"""`hwloop devices` on a fleet that is shared, full or ill: release, clean, quarantine."""

import json
import os
import subprocess
import sys
import time

import pytest

from hwloop.devices import quarantine
from hwloop.testing.models import perceptron

LIMIT_S = 120


class World:
    """A user with one device, whose cache is a folder here."""

    def __init__(self, folder):
        self.folder = folder
        self.store = folder / "store.sqlite"
        self.cache = folder / "device"
        settings = {"transport": "local", "cache_dir": str(self.cache), "limits": {"settle_s": 0}}
        (folder / "devices.yaml").write_text(json.dumps({"devices": {"box": settings}}))
        self.environment = {**os.environ, "HWLOOP_STORE": str(self.store), "COLUMNS": "200"}

    def start(self, *words):
        command = [sys.executable, "-m", "hwloop", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )

    def run(self, *words):
        process = self.start(*words)
        out, err = process.communicate(timeout=LIMIT_S)
        return process.returncode, out, err


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_bare_devices_lists_the_fleet(world):
    status, out, _ = world.run("devices")
    assert status == 0 and "box" in out
    status, out, _ = world.run("devices", "--json")
    assert status == 0 and json.loads(out)[0]["name"] == "box"
    status, _, err = world.run("devices", "--json", "check")
    assert status == 2 and "behind" in err


def test_cleaning_names_devices_or_all_of_them(world):
    for words in ([], ["box", "--all-devices"]):
        status, _, err = world.run("devices", "clean", *words)
        assert status == 2 and "--all-devices" in err


def test_a_quarantined_device_is_shown_with_its_reason_and_a_check_lifts_it(world):
    quarantine.note_failure(world.store, "box", "it did not answer", at_once=True)
    _, out, _ = world.run("devices")
    assert "box is quarantined since" in out and "it did not answer" in out
    _, out, _ = world.run("devices", "list", "--json")
    assert json.loads(out)[0]["quarantine"]["reason"] == "it did not answer"
    model = perceptron(world.folder / "model.onnx")
    status, _, err = world.run("measure", str(model), "-d", "box", "-r", "onnxruntime")
    assert status == 3 and "hwloop devices check box" in err
    status, _, err = world.run("devices", "check", "box")
    assert status == 0 and "its quarantine is lifted" in err
    assert quarantine.quarantined(world.store) == {}


def test_three_failed_commands_in_a_row_are_enough(world):
    assert [quarantine.note_failure(world.store, "box", "away") for _ in range(3)] == [False, False, True]
    assert quarantine.lift(world.store, "box")
    assert not quarantine.lift(world.store, "box")


def test_a_damaged_file_of_quarantines_is_told_with_a_remedy(world):
    (world.folder / "quarantine.json").write_text("{")
    status, _, err = world.run("devices")
    assert status == 2 and "quarantine.json" in err and "Remove it" in err


def test_a_held_device_is_shown_taken_away_and_cleaned(world):
    model = perceptron(world.folder / "model.onnx", [1024, 1024, 1024])  # so large that it takes the whole minute
    measuring = world.start("measure", str(model), "-d", "box", "-r", "onnxruntime", "--seconds", "60", "--width", "0")
    try:
        assert "measuring 1 model" in until_held(world, measuring.pid)
        status, _, err = world.run("devices", "clean", "box")
        assert status == 3 and "it is in use by" in err
        status, _, err = world.run("devices", "release", "box")
        assert status == 2 and "hwloop devices release box -y" in err
        status, out, _ = world.run("devices", "release", "box", "-y", "--json")
        assert status == 0 and json.loads(out)[0]["was_held"]
    finally:
        measuring.kill()
        measuring.communicate()
    end = time.monotonic() + 60
    while (status := world.run("devices", "clean", "box", "--everything")[0]) == 3 and time.monotonic() < end:
        pass  # the guard is still ending what the killed command ran
    assert status == 0
    assert not any((world.cache / "folders").iterdir()) and not any((world.cache / "blobs").iterdir())


def until_held(world, pid):
    """Return how `check` shows the holder of the device, as soon as it is a certain process."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        _, out, _ = world.run("devices", "check", "box", "--json")
        holder = json.loads(out)[0]["holder"]
        if holder and f"process {pid}" in holder:
            return holder
    raise AssertionError("it does not hold the device")


def test_nobody_holding_a_device_is_no_error(world):
    status, out, _ = world.run("devices", "release", "box")
    # Other tests may measure on this machine at this moment; then somebody is named.
    assert "nobody held it" in out or status == 2
