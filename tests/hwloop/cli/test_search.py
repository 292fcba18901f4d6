"""`hwloop search`: from a command to a front, a page and a bundle, whatever stops it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from hwloop.paths import cache_dir
from hwloop.store import Store
from hwloop.store.searches import Searches

LIMIT_S = 250
SPACE = """
from hwloop.search.spaces.resnet import ResnetSizes, StageSizes, resnet_space

SIZES = ResnetSizes(
    (StageSizes(16, (1, 2)),), stem_width=16, stem_stride=1, widths=(0.5, 1.0), expansions=(0.5, 1.0), channels=1,
    classes=10,
)
TINY = resnet_space("tiny", "residual networks for tests", SIZES, 8)
"""
# This machine has other work while tests run.
CALM = "limits: {foreign_load: 1, waiting: 1, frequency_moved: 1, settle_s: 0}"
WORDS = ["own.py:TINY", "--seconds", "2", "--width", "1", "--processes", "1", "--batch", "2", "--page", "page.html"]
ACCURATE = ["--task", "digits", "--objectives", "accuracy,latency"]
SMALL = ["--objectives", "latency,size"]


class World:
    """A folder with a space of one's own, a fleet of this machine, and a store."""

    def __init__(self, folder):
        self.folder, self.store = folder, folder / "store.sqlite"
        cache = folder / "cache"
        cache.mkdir()
        (cache / "wheels").symlink_to(cache_dir() / "wheels")
        (folder / "own.py").write_text(SPACE)
        (folder / "devices.yaml").write_text(
            f"devices:\n  box: {{transport: local, cache_dir: {folder}/device, runtimes: [onnxruntime], {CALM}}}\n"
        )
        self.environment = os.environ | {"HWLOOP_STORE": str(self.store), "HWLOOP_CACHE_DIR": str(cache)}

    def start(self, *words):
        return subprocess.Popen(
            [sys.executable, "-m", "hwloop", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words):
        process = self.start(*words)
        out, err = process.communicate(timeout=LIMIT_S)
        return process.returncode, out, err

    def searches(self):
        if not self.store.exists():
            return []
        with Store.open(self.store) as store:
            return Searches(store).all()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_search_writes_a_front_a_page_and_the_winner_as_a_bundle(world):
    code, out, err = world.run(
        "search", *WORDS, *ACCURATE, "--examples", "50", "-d", "box", "--budget", "4", "-o", "front.json", "--json"
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["tried"] == 4 and found["feasible"] and found["front"]
    assert "4 candidates tried" in err
    candidates = json.loads((world.folder / "front.json").read_text())
    assert candidates == [final["candidate"] for final in found["front"]]
    page = (world.folder / "page.html").read_text()
    assert all(trial["candidate"]["arch"] is not None for trial in found["trials"]) and "<script" in page
    listed = world.run("search", "--list")
    assert found["search_id"][:12] in listed[1] and "finished" in listed[1]
    code, out, err = world.run("export", "--search", found["search_id"], "--rule", "fastest", "-o", "w.zip", "--json")
    assert code == 0, err
    (bundle,) = json.loads(out)
    assert bundle["manifest"]["accuracy"]["task"] == "digits"
    policy = bundle["manifest"]["candidate"]["policy"]
    assert set(policy.values()) <= set(bundle["manifest"]["quantization"].values())
    code, _, err = world.run("verify", "w.zip")
    assert code == 0, err


def test_a_killed_search_goes_on_from_its_last_batch(world):
    words = ["search", *WORDS, *SMALL, "-d", "box", "--budget", "6", "--json"]
    process = world.start(*words)
    until = time.monotonic() + LIMIT_S
    while not any(one.batches for one in world.searches()):
        assert process.poll() is None and time.monotonic() < until, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=LIMIT_S)
    (begun,) = world.searches()
    code, out, err = world.run(*words)
    assert code == 0, err
    found = json.loads(out)
    assert found["search_id"] == begun.id
    assert found["tried"] == 6
    assert [one["candidate"] for one in found["trials"][:2]] == [one.candidate.as_json() for one in begun.batches[0]]


def test_what_cannot_be_met_ends_with_what_comes_closest(world):
    code, out, _ = world.run("search", *WORDS, *SMALL, "-d", "box", "--budget", "2", "--constraint", "latency<=0.01us")
    assert code == 1
    assert "infeasible: nothing that was tried has latency ms <= " in out and "the closest is" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "no space is named"),
        (["nowhere", *SMALL], "there is no space 'nowhere'"),
        ([*WORDS, "-d", "box"], "accuracy is wanted, and no task is named"),
        ([*WORDS, *ACCURATE, "-d", "nothing"], "nothing"),
        ([*WORDS, *SMALL, "-d", "box", "--constraint", "latency<5"], "cannot be read"),
        ([*WORDS, *SMALL, "-d", "box", "--strategy", "luck"], "there is no strategy 'luck'"),
        ([*WORDS, *SMALL, "-d", "box", "--schemes", "int9"], "'int9' is no scheme"),
        ([*WORDS, *SMALL, "-d", "box", "--fix", "depth=3"], "there is no choice 'depth'"),
        ([*WORDS, *SMALL, "-d", "box", "--constraint", "latency@pi4<=5"], "this search finds no latency@pi4"),
        ([*WORDS, *SMALL, "-d", "box", "-r", "tvm"], "device box does not run tvm"),
        ([*WORDS, *SMALL, "-d", "box", "-o", "none/front.json"], "none/front.json: no file can be written there"),
        ([*WORDS, *SMALL, "-d", "box", "--page", "."], "no file can be written there"),
        ([*WORDS, *ACCURATE, "-d", "box", "--weights", "none.safetensors"], "none.safetensors"),
    ],
)
def test_what_cannot_be_searched_is_named(world, words, told):
    code, out, err = world.run("search", *words)
    assert (code, out) == (2, "")
    assert told in err and "Traceback" not in err
