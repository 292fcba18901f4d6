"""`hwloop report` as a user meets it."""

import json
import subprocess
import sys

import pytest

from hwloop.cli.options import parse_moment
from hwloop.errors import UsageError
from hwloop.store import Store
from hwloop.testing.stores import fill_store


@pytest.fixture
def hwloop(tmp_path, monkeypatch):
    monkeypatch.setenv("HWLOOP_STORE", str(tmp_path / "store.sqlite"))
    (tmp_path / "devices.yaml").write_text("devices:\n  box: {transport: local}\n")
    with Store.open(tmp_path / "store.sqlite") as store:
        fill_store(store, 12, samples=5)

    def run(*words):
        command = [sys.executable, "-m", "hwloop", "report", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_it_writes_a_page_and_says_where(hwloop, tmp_path):
    done = hwloop("-o", "page.html")
    assert (done.returncode, done.stdout) == (0, "page.html\n")
    assert "12 measurements" in done.stderr
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_json_says_what_is_in_it(hwloop, tmp_path):
    found = json.loads(hwloop("--json").stdout)
    assert found["file"] == "report.html" and found["measurements"] == 12
    assert found["bytes"] == (tmp_path / "report.html").stat().st_size


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-o", "no/where.html"], "no/where.html: cannot be written"),
        (["--predictor", "none.json"], "none.json: no such file"),
        (["--since", "yesterday"], "--since yesterday: this is no time"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_remedy(hwloop, words, told):
    done = hwloop(*words)
    assert done.returncode == 2 and told in done.stderr


def test_no_time_is_no_moment():
    assert parse_moment("--since", "") is None
    with pytest.raises(UsageError, match="no time"):
        parse_moment("--since", "1e999d")
