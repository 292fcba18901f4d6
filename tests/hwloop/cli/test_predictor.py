"""`hwloop predictor`, from measurements on this machine to predictions."""

import json

import pytest

from hwloop.cli import main
from hwloop.testing.models import perceptron

QUICK = ("-d", "here", "-r", "onnxruntime", "--space", "vit-mini", "--processes", 1, "--width", 1, "--seconds", 0.3)
# Whatever else runs here: these tests are about learning, not about timing.
DEVICES = """
devices:
  here:
    transport: local
    limits: {foreign_load: 1.0, waiting: 1.0, frequency_moved: 1.0, settle_s: 0.0, settle_total_s: 0.0}
"""


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run a command as `main` does; return its exit code, standard output and standard error."""
    monkeypatch.setenv("HWLOOP_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.setenv("HWLOOP_CONFIG_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices.yaml").write_text(DEVICES)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["hwloop", "predictor", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code or 0, shown.out, shown.err

    return run


def test_a_space_is_measured_learned_predicted_and_evaluated(run, tmp_path):
    status, out, err = run("fit", *QUICK, "--budget", 14, "--batch", 14, "--pool", 16, "-o", "p.json", "--json")
    assert status == 0, err
    fitted = json.loads(out)
    assert (fitted["unit"], fitted["space"], fitted["threads"], fitted["schema"]) == ("ms", "vit-mini", 1, 2)
    assert fitted["rows"] >= 12 and fitted["errors"]["rows"] == fitted["rows"]

    _, _, again = run("fit", *QUICK, "--budget", 14, "--batch", 14, "--pool", 16, "-o", "p.json")
    assert again.startswith(f"{fitted['rows']} candidates measured")  # they are known by their graphs

    perceptron(tmp_path / "m.onnx")
    status, out, err = run("predict", "p.json", "m.onnx", "vit-mini@7", "--json")
    assert status == 0
    plain, candidate = json.loads(out)["models"]
    assert plain["model"] == "m" and plain["candidate"] is None
    assert candidate["interval90_ms"][0] < candidate["predicted_ms"] < candidate["interval90_ms"][1]
    assert "lie outside what was measured" in err

    status, out, _ = run("evaluate", "p.json", "--holdout", 0.15, "--seeds", 1, "--picture", "p.svg", "--json")
    found = json.loads(out)
    assert status == 0 and (tmp_path / "p.svg").read_text().startswith("<svg")
    assert found["tested"] == 2 and {"mape_percent", "coverage_percent", "rmse_ms", "kendall"} <= set(found)

    _, text, _ = run("show", "p.json")
    assert "onnxruntime" in text and "cross-validated errors" in text

    few = ("--budget", 6, "--pool", 16, "--threads", 2)  # as if it were another device
    status, out, err = run("fit", *QUICK, *few, "--from", "p.json", "-o", "q.json", "--json")
    assert status == 0 and "warning: here with onnxruntime was measured with threads 1, not 2" in err
    assert json.loads(out)["rows"] >= 5 and json.loads(out)["sources"][0]["rows"] == fitted["rows"]
    (tmp_path / "p.json").unlink()
    status, out, _ = run("predict", "q.json", "vit-mini@7", "--json")
    assert status == 0 and json.loads(out)["models"][0]["predicted_ms"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fit", "-d", "here", "-r", "tvm"), "no valid measurement of here with tvm"),
        (("fit", "-d", "here", "-r", "nothing"), "no runtime 'nothing'"),
        (("fit", "-d", "here", "-r", "tvm", "--budget", 5), "are for a --space"),
        (("fit", "-d", "here", "-r", "tvm", "--features", "words"), "Use one of kernels, arch, both"),
        (("fit", "-d", "here", "-r", "tvm", "--from", "nowhere.json"), "nowhere.json: no such file"),
        (("fit", "-d", "here", "-r", "tvm", "--from", "devices.yaml"), "devices.yaml: not a saved predictor"),
        (("show", "nowhere.json"), "nowhere.json: no such file"),
        (("evaluate", "nowhere.json", "--picture", "p.pdf"), "no such kind"),
    ],
)
def test_bad_input_is_told_with_what_to_do(run, words, said):
    status, _, err = run(*words)
    assert status == 2 and said in err
