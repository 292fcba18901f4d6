"""`hwloop spaces`, `hwloop export`, and candidates where a model can stand."""

import json

import numpy as np
import onnx
import pytest

from hwloop.exporter.quantize.verify import scheme_of
from hwloop.records import Scheme
from hwloop.search.candidate_files import read_candidates
from hwloop.search.checkpoints import save_checkpoint
from hwloop.search.spaces.registry import SPACES
from hwloop.search.spaces.vit import VIT_MINI


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run a command as `main` does; return its exit code, standard output and standard error."""
    from hwloop.cli import main

    monkeypatch.setenv("HWLOOP_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.setenv("HWLOOP_CONFIG_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices.yaml").write_text("devices:\n  here:\n    transport: local\n")

    def run(*words):
        monkeypatch.setattr("sys.argv", ["hwloop", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code or 0, shown.out, shown.err

    return run


def test_every_space_is_listed_with_its_count(run):
    status, out, _ = run("spaces", "list", "--json")
    assert status == 0
    assert {space["name"] for space in json.loads(out)} == set(SPACES)
    assert all(space["count"] > 1 for space in json.loads(out))


def test_a_space_is_shown_with_choices_layers_and_costs(run):
    _, out, _ = run("spaces", "show", "vit-mini", "--json")
    shown = json.loads(out)
    assert [choice["name"] for choice in shown["choices"]][:4] == ["resolution", "patch", "width", "depth"]
    assert "blocks.0.attention.q" in shown["layers"]
    assert shown["costs"]["smallest"]["macs"] < shown["costs"]["largest"]["macs"]
    _, table, _ = run("spaces", "show", "vit-mini")
    assert "the patch must divide the resolution" in table and "MMACs" in table


def test_fixed_choices_make_a_space_smaller(run):
    _, all_of_it, _ = run("spaces", "count", "vit-mini")
    _, fixed, _ = run("spaces", "count", "vit-mini", "--fix", "depth=2")
    assert 0 < int(fixed) < int(all_of_it) == VIT_MINI.choices.count()
    status, _, err = run("spaces", "count", "vit-mini", "--fix", "depth=9")
    assert status == 2 and "depth: 9 is not allowed" in err and "2, 3, 4, 5" in err


def test_samples_are_what_every_command_reads(run, tmp_path):
    words = ["spaces", "sample", "vit-mini", "-n", 3, "--seed", 5, "--policy", "int8-dynamic"]
    _, text, _ = run(*words)
    _, again, _ = run(*words)
    run(*words, "-o", tmp_path / "three.yaml")
    assert text == again == (tmp_path / "three.yaml").read_text()
    assert len(read_candidates(tmp_path / "three.yaml")) == 3


def test_a_policy_for_a_layer_that_is_not_there_is_refused(run):
    status, _, err = run("spaces", "sample", "vit-mini", "--policy", "nowhere=fp32")
    assert status == 2 and "no layer or block 'nowhere'" in err and "blocks.0.up" in err


def test_an_unknown_space_is_told_with_those_that_exist(run):
    status, _, err = run("spaces", "show", "vit-maxi")
    assert status == 2 and "no space 'vit-maxi'" in err and "vit-mini" in err


def test_a_space_of_ones_own_is_a_file(run, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from hwloop.search.spaces.vit import SMALL_IMAGES, vit_space\n"
        "MINE = vit_space('mine', 'my own', SMALL_IMAGES)\n"
    )
    _, out, _ = run("spaces", "count", f"{tmp_path}/mine.py:MINE")
    assert int(out) == VIT_MINI.choices.count()
    status, _, err = run("spaces", "count", f"{tmp_path}/mine.py:OTHER")
    assert status == 2 and "it has no OTHER" in err


def test_export_writes_what_the_policy_says(run, tmp_path):
    status, out, _ = run(
        "export", "--space", "vit-mini", "--sample", 2, "--policy", "int8-dynamic", "--onnx", "out", "--json"
    )
    assert status == 0
    for item in json.loads(out):
        model = onnx.load(tmp_path / item["file"])
        assert "MatMulInteger" in {node.op_type for node in model.graph.node}
        assert item["candidate"]["policy"] == {"*": "int8-dynamic"} and item["repeats"] == 1


def test_a_size_that_the_space_does_not_take_is_refused(run):
    status, _, err = run("export", "vit-mini@1", "--onnx", "out", "--shape", "length=5")
    assert status == 2 and "takes no length" in err and "batch" in err


def test_weights_are_random_pretrained_or_a_checkpoints(run, tmp_path):
    save_checkpoint(tmp_path / "mini.safetensors", VIT_MINI, VIT_MINI.supernet(7))
    files = {}
    for number, weights in enumerate(["random", "mini.safetensors"]):
        assert run("export", "vit-mini@1", "--weights", weights, "--onnx", f"out{number}")[0] == 0
        (file,) = (tmp_path / f"out{number}").iterdir()
        files[weights] = file.read_bytes()
    assert files["random"] != files["mini.safetensors"]
    status, _, err = run("export", "resnet-mini@1", "--weights", "mini.safetensors", "--onnx", "out")
    assert status == 2 and "checkpoint of the space vit-mini, not of resnet-mini" in err
    status, _, err = run("export", "vit-mini@1", "--weights", "pretrained", "--onnx", "out")
    assert status == 2 and "vit-mini has no pretrained weights" in err


def test_samples_are_measured_and_remembered(run, tmp_path):
    (tmp_path / "one.yaml").write_text(run("spaces", "sample", "vit-mini", "--seed", 3)[1])
    words = ["measure", "one.yaml", "vit-mini@smallest", "--space", "vit-mini", "--sample", 1, "-d", "here"]
    status, out, _ = run(*words, "-r", "onnxruntime", "--seconds", 0.1, "--processes", 1, "--json")
    items = json.loads(out)
    assert status == 0 and len(items) == 3
    assert {item["candidate"]["space"] for item in items} == {"vit-mini"}
    assert all(item["failure"] is None and item["median_ms"] > 0 for item in items)


def test_nothing_to_measure_and_a_policy_without_a_space_are_refused(run):
    status, _, err = run("measure", "-d", "here")
    assert status == 2 and "no model is named" in err
    status, _, err = run("measure", "vit-mini@1", "--policy", "int8-dynamic", "-d", "here")
    assert status == 2 and "--policy is for samples" in err


def test_a_space_file_that_raises_is_told_with_its_line(run, tmp_path):
    (tmp_path / "mine.py").write_text("import math\n\nMINE = math.sqrt(-1)\n")
    status, _, err = run("spaces", "count", "mine.py:MINE")
    assert status == 2 and "mine.py:3: ValueError: math domain error" in err
    (tmp_path / "mine.py").write_text("def f(:\n")
    status, _, err = run("spaces", "count", "mine.py:MINE")
    assert status == 2 and "mine.py: SyntaxError" in err and "line 1" in err


def test_words_that_are_no_numbers_and_paths_that_cannot_be_written_are_refused(run, tmp_path):
    (tmp_path / "file").write_text("")
    for words, told in {
        ("export", "vit-mini@²", "--onnx", "out"): "'²' is no sample",
        ("export", "vit-mini@1", "--onnx", "out", "--shape", "batch=²"): "a whole number",
        ("export", "vit-mini@1", "--onnx", "out", "--shape", "bach=2"): "there is no size 'bach'",
        ("export", "vit-mini@1", "--onnx", "out", "--shape", "resolution=28"): "resolution is one of its choices",
        ("export", "vit-mini@1", "--onnx", "file"): "--onnx file: this is no folder",
        ("spaces", "count", "vit-mini", "--fix", "depth=[2"): "--fix",
        ("spaces", "sample", "vit-mini", "-o", "nowhere/x.yaml"): "cannot be written",
        ("spaces", "sample", "vit-mini", "-o", "x.txt"): "ends in .yaml",
    }.items():
        status, _, err = run(*words)
        assert status == 2 and told in err, words


def test_an_onnx_file_is_quantized_by_a_policy(run, tmp_path):
    run("export", "vit-mini@smallest", "--onnx", "plain")
    (plain,) = (tmp_path / "plain").iterdir()
    status, out, _ = run("export", plain, "--policy", "blocks.0=int8-dynamic", "--onnx", "out", "--json")
    (item,) = json.loads(out)
    assert status == 0 and item["candidate"] is None
    assert scheme_of(onnx.load(tmp_path / item["file"]))["blocks.0.up"] is Scheme.INT8_DYNAMIC
    status, _, err = run("export", plain, "--onnx", "out")
    assert status == 2 and "an ONNX file needs a --policy" in err


def test_int8_static_is_calibrated_on_data_that_is_given(run, tmp_path):
    random = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", image=random.standard_normal((4, 1, 28, 28), np.float32) ** 3)
    np.savez(tmp_path / "pictures.npz", picture=np.zeros((4, 1, 28, 28), np.float32))
    words = ["export", "--space", "vit-mini", "--policy", "int8-static"]
    files = []
    for number, more in enumerate([[], ["--calibrate", "images.npz"]]):
        more += ["--calibration", "entropy", "--onnx", f"out{number}"]
        assert run(*words, *more)[0] == 0
        files += [file.read_bytes() for file in (tmp_path / f"out{number}").iterdir()]
    assert files[0] != files[1]
    status, _, err = run(*words, "--calibrate", "pictures.npz", "--onnx", "out")
    assert status == 2 and "'picture' is no input of vit-mini" in err and "image" in err
    status, _, err = run(*words, "--calibration", "median", "--onnx", "out")
    assert status == 2 and "no method 'median'" in err and "percentile" in err
