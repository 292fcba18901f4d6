"""What goes into a job runs on any Python from 3.8 on, with nothing beside it."""

import ast
import sys

import pytest

from hwloop.devices.carried.packing import MODULES, START, packed_modules, source_of

# Newer than 3.8, by name; syntax is the parser's to judge.
TOO_NEW = ("removeprefix", "removesuffix", "pairwise", "StrEnum", "bit_count")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_the_standard_library_and_its_like_alone(module):
    tree = ast.parse(source_of(module).read_text(), feature_version=(3, 8))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in for_types or not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
        for name in names:
            assert name in MODULES or name.split(".")[0] in sys.stdlib_module_names, name


@pytest.mark.parametrize("module", MODULES)
def test_a_module_uses_nothing_newer(module):
    text = source_of(module).read_text()
    tree = ast.parse(text)
    assert not [word for word in TOO_NEW if word in text]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            assert not [word.arg for word in node.keywords if word.arg in ("strict", "slots", "kw_only")]
    assert ast.unparse(tree.body[1]) == "from __future__ import annotations"


def test_an_old_python_is_told_so_in_words_that_it_understands():
    ast.parse(START, feature_version=(3, 5))
    assert START.index("sys.exit") < START.index("from hwloop")


def test_packages_are_empty_there():
    files = packed_modules()
    assert files["hwloop/__init__.py"] == files["hwloop/devices/carried/__init__.py"] == b""
    assert files["hwloop/schedule.py"] == source_of("hwloop.schedule").read_bytes()
