"""`hwloop measure` as a user meets it: the real command, on this machine and on a real SSH server."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from hwloop.store import Filters, Store
from hwloop.testing.models import embedding, lstm, perceptron
from hwloop.testing.sshd import free_port, running_sshd

QUICK = ("--seconds", "0.2", "--warmup", "0.05")
LIMIT_S = 120
JSON_KEYS = {
    "model", "model_digest", "device", "runtime", "threads", "batch", "verdict", "failure", "median_ms", "ci95_ms",
    "p90_ms", "min_ms", "samples", "peak_rss_mb", "artifact_bytes", "output_max_abs_err", "insns_per_call",
    "measurement_id",
}  # fmt: skip


@pytest.fixture
def world(tmp_path):
    """A user with a store and a configuration of their own, and nothing measured yet."""
    return World(tmp_path)


class World:
    def __init__(self, folder):
        self.folder = folder
        self.store = folder / "store.sqlite"
        self.environment = {
            **os.environ,
            "HWLOOP_STORE": str(self.store),
            "HWLOOP_CONFIG_DIR": str(folder / "config"),
        }
        (folder / "config").mkdir()

    def fleet(self, text):
        (self.folder / "devices.yaml").write_text(text)

    def start(self, *words):
        command = [sys.executable, "-m", "hwloop", *map(str, words)]
        pipe = subprocess.PIPE
        # What starts tests in the background has them ignore Ctrl-C, and children inherit that.
        return subprocess.Popen(
            command,
            stdout=pipe,
            stderr=pipe,
            text=True,
            cwd=self.folder,
            env=self.environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def hwloop(self, *words):
        process = self.start(*words)
        process.out, process.err = process.communicate(timeout=LIMIT_S)
        return process

    def measure(self, *words):
        return self.hwloop("measure", *words, *QUICK)

    def rows(self):
        if not self.store.exists():
            return []
        with Store.open(self.store) as store:
            return store.query(Filters())


def test_a_model_is_measured_with_both_runtimes_and_shown_in_a_table(world):
    done = world.measure(perceptron(world.folder / "mlp.onnx"))
    assert done.returncode == 0, done.err
    assert "mlp" in done.out and "onnxruntime" in done.out and "tvm" in done.out
    assert {row.subject.runtime for row in world.rows()} == {"onnxruntime", "tvm"}


def test_json_is_one_document_with_the_agreed_keys_and_nothing_else(world):
    done = world.measure(perceptron(world.folder / "mlp.onnx"), "--json")
    items = json.loads(done.out)
    assert len(items) == 2
    for item in items:
        assert item.keys() >= JSON_KEYS
        low, high = item["ci95_ms"]
        assert low <= item["median_ms"] <= high
        assert item["min_ms"] <= item["median_ms"]
        assert item["insns_per_call"] is None
        assert item["output_max_abs_err"] < 1e-4


def test_what_the_store_has_is_shown_and_not_taken_again_unless_fresh(world):
    model = perceptron(world.folder / "mlp.onnx")
    first, second, fresh = (
        json.loads(world.measure(model, "-r", "onnxruntime", "--json", *more).out)[0]["measurement_id"]
        for more in ((), (), ("--fresh",))
    )
    assert first == second
    assert fresh != first


def test_an_operator_that_a_runtime_lacks_is_a_result_and_the_rest_goes_on(world):
    done = world.measure(lstm(world.folder / "lstm.onnx"), perceptron(world.folder / "mlp.onnx"), "--json")
    found = {(item["model"], item["runtime"]): item for item in json.loads(done.out)}
    assert len(found) == 4
    failure = found["lstm", "tvm"]["failure"]
    assert failure["kind"] == "unsupported operator" and "LSTM" in failure["message"]
    assert found["mlp", "tvm"]["median_ms"] > 0
    assert done.returncode == 0


def test_symbolic_sizes_and_inputs_are_given_by_name(world):
    model = embedding(world.folder / "table.onnx")
    np.save(world.folder / "ids.npy", np.arange(6, dtype=np.int64).reshape(2, 3))
    sizes = ("--shape", "batch=2", "--shape", "length=3")
    done = world.measure(model, *sizes, "--input", f"ids={world.folder / 'ids.npy'}", "-r", "onnxruntime", "--json")
    assert json.loads(done.out)[0]["batch"] == 2


def refused(world, *words):
    """Run what must be refused with exit code 2; return what it said, and check that nothing was stored."""
    done = world.measure(*words)
    assert done.returncode == 2, done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    assert world.rows() == []
    return done.err


def test_files_that_are_no_models_are_refused_by_name(world):
    (world.folder / "text.onnx").write_text("no model at all, but some words")
    whole = perceptron(world.folder / "mlp.onnx").read_bytes()
    (world.folder / "half.onnx").write_bytes(whole[: len(whole) // 2])
    for name in ("text.onnx", "half.onnx", "missing.onnx"):
        assert name in refused(world, world.folder / "mlp.onnx", world.folder / name)


def test_an_open_size_is_named_with_the_flag_that_gives_it(world):
    told = refused(world, embedding(world.folder / "table.onnx"), "--shape", "batch=2")
    assert "--shape length=8" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-d", "loca"), "local"),
        (("-r", "tensorrt"), "onnxruntime"),
        (("--shape", "batch=2"), "batch"),
        (("--shape", "batch"), "NAME="),
        (("--input", "z=a.npy"), "z"),
    ],
)
def test_wrong_names_are_refused_with_those_that_exist(world, words, told):
    assert told in refused(world, perceptron(world.folder / "mlp.onnx"), *words)


def test_every_mistake_in_the_fleet_file_is_told_at_once(world):
    world.fleet("devices:\n  a: {transport: local, colour: red}\n  b: {transport: telnet}\n")
    told = refused(world, perceptron(world.folder / "mlp.onnx"))
    assert "colour" in told and "telnet" in told and "line 2" in told and "line 3" in told


def test_a_device_that_is_down_costs_exit_code_3_and_not_the_other_devices(world):
    world.fleet(
        "devices:\n  local: {transport: local}\n"
        f"  away: {{transport: ssh, host: 127.0.0.1, port: {free_port()}, connect_timeout_s: 5}}\n"
    )
    done = world.measure(perceptron(world.folder / "mlp.onnx"), "-r", "onnxruntime", "--json")
    assert done.returncode == 3
    assert "away" in done.err and "Traceback" not in done.err
    assert [item["device"] for item in json.loads(done.out)] == ["local"]


def test_an_ssh_device_is_refused_until_its_key_is_pinned_and_then_measured(world):
    with running_sshd() as server:
        world.fleet(
            f"devices:\n  box:\n    transport: ssh\n    host: {server.host}\n    port: {server.port}\n"
            f"    user: {server.user}\n    key_file: {server.key_file}\n    python: {sys.executable}\n"
        )
        model = perceptron(world.folder / "mlp.onnx")
        unknown = world.measure(model, "-r", "onnxruntime")
        assert unknown.returncode == 3
        assert "SHA256:" in unknown.err and "hwloop devices trust box" in unknown.err
        assert world.hwloop("devices", "trust", "box", "--yes").returncode == 0
        done = world.measure(model, "--json")
        assert [item["device"] for item in json.loads(done.out)] == ["box", "box"], done.err


def test_ctrl_c_keeps_what_was_measured_and_the_same_command_goes_on(world):
    models = [perceptron(world.folder / f"mlp{index}.onnx", seed=index) for index in range(4)]
    words = ("measure", *models, "-r", "onnxruntime", "--seconds", "3", "--width", "0")
    process = world.start(*words)
    end = time.monotonic() + LIMIT_S
    while not runs_in(world.store) and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "goes on from there" in err and "Traceback" not in err
    kept = runs_in(world.store)
    assert kept
    again = world.hwloop(*words)
    assert again.returncode == 0, again.err
    assert len(world.rows()) == 4
    assert kept <= runs_in(world.store)
    assert len({measurement for measurement, _, _ in runs_in(world.store)}) == 4


def runs_in(path):
    """The runs in a store: measurement, number, and when it started."""
    if not path.exists():
        return set()
    connection = sqlite3.connect(path)
    try:
        return set(connection.execute("SELECT measurement_id, idx, started_at FROM run"))
    except sqlite3.OperationalError:  # the tables are not there yet
        return set()
    finally:
        connection.close()


def test_a_runtime_that_hangs_is_killed_at_its_deadline(world):
    rows, width = 512, 4096
    slow = perceptron(world.folder / "slow.onnx", widths=(width, width, width, width), rows=rows)
    done = world.hwloop("measure", slow, "-r", "onnxruntime", "--deadline", "1", "--seconds", "30", "--json")
    failure = json.loads(done.out)[0]["failure"]
    assert failure["kind"] == "timed out"


def test_wrong_outputs_cost_exit_code_1(world):
    """The device's Python is a script that puts another model in place before the runtime starts."""
    model = perceptron(world.folder / "mlp.onnx", seed=1)
    other = perceptron(world.folder / "other.onnx", seed=2)
    wrong = world.folder / "python-wrong"
    wrong.write_text(f"""#!/bin/sh
for word; do case "$word" in zygote)
    for file in {world.folder}/cache/folders/*/model.onnx; do
        [ -e "$file" ] && cp --remove-destination {other} "$file"
    done
esac; done
exec {sys.executable} "$@"
""")
    wrong.chmod(0o755)
    world.fleet(f"devices:\n  local: {{transport: local, python: {wrong}, cache_dir: {world.folder}/cache}}\n")
    done = world.measure(model, "-r", "onnxruntime")
    assert done.returncode == 1, done.err
    assert "INVALID" in done.out and "outputs differ" in done.out
