"""The commands of the tutorial and of the README, run as they stand, from top to bottom.

`make test` leaves out what takes long (`LONG`: it trains and searches, and what follows needs that); `make test-slow`
runs that, too. What is not run at all is listed with the reason (`NOT_RUN`).
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwloop.testing.documents import blocks_of

ROOT = Path(__file__).parents[2]
TUTORIAL, README = ROOT / "docs" / "tutorial.md", ROOT / "README.md"

LONG = r"hwloop (train|predictor|search|export --search|report --predictor|ci|measure three\.yaml).*"
ITS_OWN_ENVIRONMENT = "the tests run in the environment that it makes"
CI_RUNS_IT = "minutes; continuous integration runs it itself"
NO_SUCH_DEVICE = "that device does not exist"
MINUTES = "minutes on this machine, for which it must be calm; its own tests run the like"
NOT_RUN = {
    r"make \.venv/ready|cd tutorial": ITS_OWN_ENVIRONMENT,
    r"make (measure|test)": CI_RUNS_IT,
    r"hwloop .*kitchen-pi.*": NO_SUCH_DEVICE,
    r"hwloop .*airgapped.*": "45 MB of wheels; tests/hwloop/cli/test_carrying.py runs it",
    r"hwloop results import job\.results": "needs what was measured there; tests/hwloop/cli/test_carrying.py runs it",
    r"hwloop results show 019c2f5a": "the id is that of a reader's measurement",
    r"hwloop export --search 019c2f60 .*": "the id is that of a reader's search",
    r"hwloop measure model\.onnx -d local": MINUTES,
    r"hwloop measure \*\.onnx -d arm64 .*": MINUTES,
    r"hwloop measure --space hat-small --sample 50 .*": MINUTES,
    r"hwloop compare .*": MINUTES,
    r"hwloop train resnet-mini --task digits --steps 200": MINUTES,
    r"hwloop search resnet-mini --task digits -d local --budget 50": MINUTES,
    r"hwloop emulator up pi3": "builds another board; tests/devices/emulator runs it",
}


def reason_not_to_run(command):
    return next((reason for pattern, reason in NOT_RUN.items() if re.fullmatch(pattern, command)), None)


def run(command, folder):
    """Run a line in a shell, as a user who has activated the environment."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HWLOOP_STORE": str(folder / "store.sqlite"),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("HWLOOP_DEVICES", None)
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def follow(page, folder, *, quickly):
    """Do what a page says: write its files, run its commands. Return the output of each command."""
    told = {}
    for block in blocks_of(page):
        if block.language == "yaml" and (name := re.search(r"`([\w.]+\.yaml)`", block.before)):
            (folder / name[1]).write_text(block.text)
        if "$(" in block.text and not quickly:  # its lines share a variable
            told[block.text] = run(f"set -e\n{block.text}", folder)
        elif "$(" not in block.text:
            for line in block.commands:
                if not reason_not_to_run(line) and not (quickly and re.fullmatch(LONG, line)):
                    told[line] = run(line, folder)
    return told


def follow_readme(folder, *, quickly):
    """Do what the README says where the tutorial was followed: its model is one that the store knows."""
    shutil.copyfile(folder / "models" / "resnet-mini-471af4b9.onnx", folder / "model.onnx")
    return follow(README, folder, quickly=quickly)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tutorial")


@pytest.mark.emulated
@pytest.mark.timeout(900)
def test_what_is_quick_in_the_tutorial(folder):
    told = follow(TUTORIAL, folder, quickly=True)
    assert "VALID" in told["hwloop measure models/resnet-mini-471af4b9.onnx -d local -d pi4 -r onnxruntime"]


@pytest.mark.emulated
@pytest.mark.timeout(900)
def test_what_is_quick_in_the_readme(folder):
    told = follow_readme(folder, quickly=True)
    assert "model" in told["hwloop results --since 2h"]
    assert (folder / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.emulated
@pytest.mark.timeout(3600)
def test_both_as_they_are_written(tmp_path):
    follow(TUTORIAL, tmp_path, quickly=False)
    follow_readme(tmp_path, quickly=False)
    assert (tmp_path / "digits.zip").is_file() and (tmp_path / "results.xml").is_file()


def test_what_is_not_run_is_still_there():
    lines = [line for page in (TUTORIAL, README) for block in blocks_of(page) for line in block.commands]
    for pattern in NOT_RUN:
        assert any(re.fullmatch(pattern, line) for line in lines), pattern
