"""The documents say what is there: commands, folders, links, make's targets; the index leads to every page."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from hwloop.testing.documents import (
    anchors_of,
    blocks_of,
    command_line,
    links_of,
    parse_command,
    spans_of,
    unknown_options,
)

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WRITTEN = [path for path in DOCUMENTS if path.parent.name != "commands"]  # by people

COMMANDS = sorted({command for page in DOCUMENTS for block in blocks_of(page) for command in block.commands})
SPANS = sorted({span for page in WRITTEN for span in spans_of(page)})


def name_of(path):
    return str(path.relative_to(ROOT))


def examples(command):
    """Yield every line of the command line's help that calls hwloop."""
    for line in f"{command.help}\n{command.epilog}".splitlines():
        if re.match(r"\s*(Examples?: )?hwloop ", line):
            yield from re.findall(r"hwloop [^;]+", line)
    for inner in getattr(command, "commands", {}).values():
        yield from examples(inner)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("hwloop ")])
def test_every_command_that_is_shown_is_one(command):
    parse_command(command)


@pytest.mark.parametrize("command", SPANS)
def test_every_option_in_prose_is_one(command):
    assert unknown_options(command) == []


@pytest.mark.parametrize("command", sorted(set(examples(command_line()))))
def test_every_example_in_the_help_is_one(command):
    parse_command(command)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_every_make_target_that_is_shown_exists(command):
    subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, timeout=60, check=True)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path):
    for target, anchor in links_of(path):
        page = (path.parent / target).resolve() if target else path
        assert page.exists(), target
        assert not anchor or anchor in anchors_of(page), f"{target}#{anchor}"


def test_the_index_leads_to_every_page():
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target, _ in links_of(index)}
    assert {path for path in ROOT.glob("docs/**/*.md") if path != index} <= linked


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_named_files_and_folders_exist(path):
    names = re.findall(
        r"`((?:hwloop|exporter|devices|predictor|search|tests|benchmarks|examples|docs)/[\w./-]*)`", path.read_text()
    )
    for name in names:
        assert (ROOT / name).exists(), name


def test_the_pages_of_commands_are_what_help_says():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    there = {path.name: path.read_text() for path in generate.FOLDER.glob("*.md")}
    assert there == generate.pages(), "run: .venv/bin/python docs/generate.py"
