"""The wheel holds what an installed hwloop needs, under its own name alone."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The files of a wheel built from a copy of what git tracks or would track."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    source = folder / "source"
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(build, capture_output=True, timeout=280, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return set(wheel.namelist())


def test_nothing_but_hwloop_is_installed_at_the_top(names):
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"hwloop"}


@pytest.mark.parametrize("room", ["exporter", "devices", "predictor", "search"])
def test_each_room_is_installed_whole(names, room):
    for path in (ROOT / room).rglob("*"):
        if path.suffix in (".py", ".c", ".sh", ".typed"):
            assert f"hwloop/{path.relative_to(ROOT)}" in names


def test_types_are_announced(names):
    assert "hwloop/py.typed" in names


def test_every_package_of_the_tree_is_listed():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = set()
    for top in ("hwloop", "exporter", "devices", "predictor", "search"):
        for init in (ROOT / top).rglob("__init__.py"):
            dotted = ".".join(init.parent.relative_to(ROOT).parts)
            found.add(dotted if top == "hwloop" else f"hwloop.{dotted}")
    assert listed == found


def test_what_pages_are_made_of_is_in_the_wheel(names):
    for path in (ROOT / "hwloop" / "report" / "page").iterdir():
        assert f"hwloop/report/page/{path.name}" in names
