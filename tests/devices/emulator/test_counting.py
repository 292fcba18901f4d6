from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwloop.deadline import Deadline
from hwloop.devices import emulator
from hwloop.devices.provision import provision
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.records import DeviceFacts

pytestmark = pytest.mark.emulated

FETCH_S = 300.0
FACTS = DeviceFacts(
    machine="aarch64",
    kernel="6.1",
    glibc=(2, 36),
    python=(3, 11, 2),
    cpu_model="Raspberry Pi 4",
    cpu_part="0xd08",
    cpu_features=("fp", "asimd"),
    cores=4,
    memory_bytes=4 << 30,
    disk_free_bytes=8 << 30,
    cache_dir="/home/pi/.cache/hwloop/device",
    identity="emulated",
)

LOOP = """\
import ctypes, os, sys
libc = ctypes.CDLL(None)
count = ctypes.c_uint64()
mark = (ctypes.c_long(141), ctypes.c_ulong(0x68776C6F6F70), ctypes.byref(count))
def work():
    found = []
    for repeats in (100, 100, 200):
        libc.syscall(*mark)
        start = count.value
        for _ in range(repeats):
            sum(range(1000))
        libc.syscall(*mark)
        found.append(count.value - start)
    os.write(1, (" ".join(map(str, found)) + "\\n").encode())
for _ in range(3):
    if os.fork() == 0:
        work()
        os._exit(0)
    os.wait()
"""


def counted(board: emulator.Endpoint, program: str) -> str:
    return " ".join(board.counted_prefix) + f" /usr/bin/python3 -S {program}"


def counts(text: str) -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in text.splitlines()]


def agree(runs: list[list[int]]) -> bool:
    totals = [sum(run) for run in runs]
    return min(totals) > 0 and max(totals) - min(totals) <= 1e-6 * min(totals)


def conv_net(path: Path) -> None:
    random = np.random.default_rng(0)
    weights = {
        name: numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)
        for name, shape in {"w1": (16, 3, 3, 3), "w2": (32, 16, 3, 3), "w3": (32, 10)}.items()
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("MatMul", ["e", "w3"], ["y"]),
    ]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])
    scores = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])
    graph = helper.make_graph(nodes, "net", [image], [scores], list(weights.values()))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def test_forks_of_one_process_count_the_same_and_twice_the_work_is_twice_the_count(own_boards: Path, ssh):
    board = emulator.up("pi4", Deadline.after(60), print)
    ran = ssh(board, counted(board, "-"), stdin=LOOP)
    assert ran.stderr == ""
    runs = counts(ran.stdout)
    assert len(runs) == 3
    assert runs[0] == runs[1] == runs[2]
    assert runs[0][2] == pytest.approx(2 * runs[0][1], rel=0.01)


def test_without_the_plugin_a_mark_changes_nothing(own_boards: Path, ssh):
    board = emulator.up("pi4", Deadline.after(60), print)
    assert counts(ssh(board, "python3 -S -", stdin=LOOP).stdout) == [[0, 0, 0]] * 3


def test_a_network_under_onnxruntime_counts_the_same_in_three_processes(
    own_boards: Path, ssh, rootfs: Path, monkeypatch: pytest.MonkeyPatch
):
    board = emulator.up("pi4", Deadline.after(60), print)
    home = own_boards / "boards" / "pi4" / "home"
    monkeypatch.setenv("HWLOOP_CACHE_DIR", str(rootfs.parent.parent))  # the user's, where wheels are kept
    runtime = provision(OnnxRuntime().needs(), "pi4", FACTS, Deadline.after(FETCH_S), print)
    monkeypatch.setenv("HWLOOP_CACHE_DIR", str(own_boards.parent))
    for wheel in runtime.folder.archives:
        zipfile.ZipFile(wheel.path).extractall(home / "site")
    conv_net(home / "net.onnx")
    shutil.copy(Path(__file__).with_name("counted_guest.py"), home)
    ran = ssh(board, f"cd; {counted(board, 'counted_guest.py 3 2 3')}")
    assert ran.stderr == ""  # onnxruntime says here if a board does not look like one
    runs = counts(ran.stdout)
    assert len(runs) == 3
    assert agree(runs)
