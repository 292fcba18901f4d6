"""Two hosts want one board, and a board that reboots under its host: measurements neither mix nor get lost."""

import json
import os
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta

import pytest

from hwloop.store import Store
from hwloop.testing.models import perceptron
from hwloop.testing.sshd import running_sshd

LIMIT_S = 180


class Host:
    """A host with a store and a configuration of its own."""

    def __init__(self, folder, settings):
        folder.mkdir()
        self.folder = folder
        self.store = folder / "store.sqlite"
        (folder / "devices.yaml").write_text(json.dumps({"devices": {"board": settings}}))
        self.environment = {**os.environ, "HWLOOP_STORE": str(self.store), "HWLOOP_CONFIG_DIR": str(folder)}

    def start(self, *models, seconds="1.0", more=()):
        command = [sys.executable, "-m", "hwloop", "measure", *map(str, models), "-d", "board", "-r", "onnxruntime"]
        options = ["--seconds", seconds, "--width", "0", "--warmup", "0.02", "--json", *more]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*command, *options], cwd=self.folder, env=self.environment, stdout=pipe, stderr=pipe, text=True
        )

    def measured(self):
        with Store.open(self.store) as store:
            return store.query(with_runs=True)

    def span(self):
        """When its first process began, and when its last one had made its last call."""
        runs = [run for one in self.measured() for run in one.runs]
        starts = [datetime.fromisoformat(run.started_at) for run in runs]
        ends = [
            start + timedelta(microseconds=sum(run.samples_ns) / 1e3) for start, run in zip(starts, runs, strict=True)
        ]
        return min(starts), max(ends)


def test_two_hosts_for_one_board_take_turns(tmp_path, fault):
    settings = {"transport": "local", "cache_dir": str(tmp_path / "device"), "limits": {"settle_s": 0}}
    hosts = [Host(tmp_path / name, settings) for name in ("anna", "ben")]
    models = [perceptron(tmp_path / "one.onnx"), perceptron(tmp_path / "two.onnx", [64, 96, 32])]
    with fault("two hosts for one board", within_s=LIMIT_S):
        commands = [host.start(*models) for host in hosts]
        told = [command.communicate(timeout=LIMIT_S) for command in commands]
    assert [command.returncode for command in commands] == [0, 0], told
    assert all(len(host.measured()) == 2 for host in hosts)
    (_, first_end), (second_start, _) = sorted(host.span() for host in hosts)
    assert first_end <= second_start
    assert "waiting for" in told[0][1] + told[1][1]


def test_who_does_not_want_to_wait_is_told_who_has_the_board(tmp_path, fault):
    settings = {"transport": "local", "cache_dir": str(tmp_path / "device"), "limits": {"settle_s": 0}}
    model = perceptron(tmp_path / "one.onnx")
    first, second = (Host(tmp_path / name, settings) for name in ("anna", "ben"))
    with fault("a board in use", within_s=LIMIT_S):
        holding = first.start(model, seconds="20")
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                asking = second.start(model, seconds="0.2", more=["--no-wait", "--fresh"])
                _, words = asking.communicate(timeout=LIMIT_S)
                if "it is in use by" in words:
                    break
            assert asking.returncode == 3
            assert "it is in use by" in words and "hwloop devices release board" in words
        finally:
            holding.kill()
            holding.communicate()


@pytest.mark.parametrize("seed", [1])
def test_a_board_that_reboots_while_it_times_is_gone_on_with(tmp_path, fault, seed):
    with running_sshd() as server:
        settings = {
            "transport": "ssh",
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "key_file": str(server.key_file),
            "python": sys.executable,
            "cache_dir": str(tmp_path / "device"),
            "limits": {"settle_s": 0},
        }
        host = Host(tmp_path / "anna", settings)
        (host.folder / "known_hosts").write_text(f"board {server.host_key}\n")
        models = [perceptron(tmp_path / "one.onnx"), perceptron(tmp_path / "two.onnx", [64, 96, 32])]
        with fault("board reboots", seed, within_s=LIMIT_S):
            command = host.start(*models, seconds="6")

            def reboot():
                end = time.monotonic() + 60
                while not host.store.exists() or not runs_of(host):
                    assert time.monotonic() < end
                    time.sleep(0.2)
                server.stop()
                time.sleep(3)
                server.start()

            rebooting = threading.Thread(target=reboot)
            rebooting.start()
            _, words = command.communicate(timeout=LIMIT_S)
            rebooting.join()
        assert command.returncode == 0, words
        assert "trying again" in words
        for one in host.measured():
            assert [run.index for run in one.runs] == list(range(len(one.runs)))
            assert all(run.outputs_match for run in one.runs)
        assert len(host.measured()) == 2


def runs_of(host):
    with Store.open(host.store) as store:
        return store.read("SELECT 1 FROM run", [])
