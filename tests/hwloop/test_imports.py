"""Who may know whom: the rooms of DESIGN, and what a command line that answers quickly must not import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("exporter", "devices", "predictor", "search")
SHARED = {
    "hwloop.apt_sources",
    "hwloop.records",
    "hwloop.errors",
    "hwloop.store",
    "hwloop.digests",
    "hwloop.least_used",
    "hwloop.deadline",
    "hwloop.paths",
    "hwloop.packages",
    "hwloop.scratch",
    "hwloop.stats",
    "hwloop.verdict",
    "hwloop.intervals",
    "hwloop.schedule",
}
# A room, and which parts of hwloop it may import.
ALLOWED = {
    "hwloop/records": {"hwloop.records", "hwloop.digests", "hwloop.errors"},
    "hwloop/store": {"hwloop.store", "hwloop.records", "hwloop.errors", "hwloop.digests", "hwloop.deadline"},
    "exporter": {"hwloop.exporter", *SHARED},
    "devices": {"hwloop.devices", *SHARED},
    "predictor": {"hwloop.predictor", "hwloop.records", "hwloop.errors"},
}
HEAVY = ("numpy", "onnx", "onnxruntime", "tvm", "paramiko", "pydantic", "yaml", "torch", "rich.progress")


def imports_of(path):
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module in ("hwloop", "hwloop.devices", "hwloop.exporter"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(folder):
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_it_may_know(room):
    for path in sources(room):
        for module in imports_of(path):
            if module.startswith("hwloop.") and module != "hwloop.errors":
                part = ".".join(module.split(".")[:2])
                assert part in ALLOWED[room], f"{path.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize(
    ("library", "may"),
    [
        ("paramiko", lambda path: path.match("devices/transports/ssh*.py")),
        ("tvm", lambda path: path.match("exporter/runtimes/tvm*.py") or path.parts[:2] == ("exporter", "compiler")),
        ("torch", lambda path: path.parts[0] in ("exporter", "search")),
    ],
)
def test_a_heavy_library_is_imported_in_its_own_files_alone(library, may):
    for folder in ("hwloop", *ROOMS):
        for path in sources(folder):
            if any(module.split(".")[0] == library for module in imports_of(path)):
                assert may(path.relative_to(ROOT)), f"{path} imports {library}"


@pytest.mark.parametrize("path", sources("devices/runner"), ids=lambda path: path.name)
def test_the_runner_needs_nothing_but_the_standard_library_of_python_3_8(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    top_level = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    from_elsewhere = [node for node in top_level if not (isinstance(node, ast.ImportFrom) and node.level == 1)]
    names = {
        name.split(".")[0]
        for node in from_elsewhere
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module])
    }
    assert names <= set(sys.stdlib_module_names)


def test_the_command_line_starts_without_heavy_imports():
    script = f"import sys, hwloop.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "[]"
