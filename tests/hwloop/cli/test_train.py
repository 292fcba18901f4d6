"""`hwloop train`: from a command to a checkpoint, and on after Ctrl-C."""

import json
import signal
import subprocess
import sys

import pytest

WORDS = [sys.executable, "-m", "hwloop", "train", "resnet-mini", "--task", "digits", "--shape", "resolution=4"]
BATCH = ["--batch", "2", "--subnets", "1", "--threads", "1", "-o", "w.safetensors"]


@pytest.fixture
def train(tmp_path):
    def train(*words):
        return subprocess.run([*WORDS, *BATCH, *words], cwd=tmp_path, capture_output=True, text=True, timeout=250)

    return train


def test_losses_and_accuracies_are_told_as_json(train, tmp_path):
    done = train("--steps", "2", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["complete"] and told["step"] == 2 and len(told["last_losses"]["losses"]) == 3
    assert [one["name"] for one in told["subnets"]][:2] == ["smallest", "largest"]
    assert all(0 <= one["accuracy"] <= 1 for one in told["subnets"])
    assert {path.name for path in tmp_path.iterdir()} == {
        "w.safetensors",
        "w.safetensors.training",
        "w.losses.jsonl",
    }


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    words = [*WORDS, *BATCH, "--steps", "100000"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    first = process.stderr.readline()
    assert "1437 examples, on" in first
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=250)
    assert process.returncode == 0, err
    assert "of 100000; all is saved" in err and "--steps 100000 --resume" in err
    assert (tmp_path / "w.safetensors.training").is_file()


def test_what_is_not_there_is_refused_with_what_is(train):
    done = train("--sampling", "odd")
    assert done.returncode == 2 and "no sampling 'odd'" in done.stderr and "sandwich" in done.stderr
