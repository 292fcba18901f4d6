"""The documents say what is there: commands, folders, links, make's targets."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def blocks(text):
    return re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands():
    """Every `hwloop ...` and `make ...` line of the documents' blocks, without its comment."""
    lines = [line for path in DOCUMENTS for block in blocks(path.read_text()) for line in block.splitlines()]
    return sorted({line.split("  #")[0].strip() for line in lines if re.match(r"(hwloop|make) ", line)})


@pytest.mark.parametrize("command", [command for command in commands() if command.startswith("hwloop ")])
def test_every_command_and_option_that_is_shown_exists(command):
    words = shlex.split(command.split(">")[0])[1:]
    path = [word for word in words[:2] if re.fullmatch(r"[a-z]+", word)]
    helped = [sys.executable, "-m", "hwloop", *path, "--help"]
    shown = subprocess.run(helped, capture_output=True, text=True, timeout=60, check=False)
    if shown.returncode:  # the second word was an argument
        shown = subprocess.run([*helped[:3], path[0], "--help"], capture_output=True, text=True, timeout=60, check=True)
    for option in (word.split("=")[0] for word in words if word.startswith("-")):
        assert re.search(rf"(?<!\S){re.escape(option)}\b", shown.stdout), option


@pytest.mark.parametrize("command", [command for command in commands() if command.startswith("make ")])
def test_every_make_target_that_is_shown_exists(command):
    subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, timeout=60, check=True)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_and_folders_exist(path):
    names = re.findall(
        r"`((?:hwloop|exporter|devices|predictor|search|tests|benchmarks|examples|docs)/[\w./-]*)`", path.read_text()
    )
    for name in names:
        assert (ROOT / name).exists(), name
