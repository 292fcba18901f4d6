"""The wheels of a runtime: those that fit the device, fetched once."""

from dataclasses import replace

import pytest

from hwloop import packages
from hwloop.deadline import Deadline
from hwloop.devices.provision import provision
from hwloop.digests import digest_file
from hwloop.errors import DeviceUnsuited, FetchError
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.records import DeviceFacts, RuntimeNeeds, WheelNeed

FETCH_S = 240.0
BOX = DeviceFacts(
    machine="x86_64", kernel="6", glibc=(2, 36), python=(3, 11, 7), cpu_model="", cpu_part="", cpu_features=(),
    cores=2, memory_bytes=1 << 33, disk_free_bytes=1 << 33, cache_dir="/tmp", identity="1",
)  # fmt: skip
PI = replace(BOX, machine="aarch64")


def fetch(needs, facts):
    said = []
    found = provision(needs, "pi", facts, Deadline.after(FETCH_S), said.append)
    return found, said


@pytest.mark.parametrize(("facts", "machine"), [(BOX, "x86_64"), (PI, "aarch64")])
def test_onnx_runtime_and_numpy_come_as_wheels_for_the_devices_python_and_architecture(facts, machine):
    found, _ = fetch(OnnxRuntime().needs(), facts)
    names = [blob.path.name for blob in found.folder.archives]
    assert [name.split("-")[0] for name in names] == ["onnxruntime", "numpy"]
    assert all("cp311" in name and machine in name for name in names)
    assert found.version == names[0].split("-")[1]


@pytest.mark.parametrize(("facts", "elf_machine"), [(BOX, 62), (PI, 183)])
def test_tvm_comes_as_two_small_libraries_for_the_devices_architecture(facts, elf_machine):
    found, _ = fetch(Tvm().needs(), facts)
    assert set(found.folder.files) == {"libtvm_runtime.so", "libtvm_ffi.so"}
    for blob in found.folder.files.values():
        assert int.from_bytes(blob.path.read_bytes()[18:20], "little") == elf_machine
        assert digest_file(blob.path) == blob.digest
    assert sum(blob.path.stat().st_size for blob in found.folder.blobs) < 8_000_000


def test_what_was_fetched_once_is_not_fetched_again(monkeypatch):
    fetch(OnnxRuntime().needs(), BOX)
    monkeypatch.setattr(packages.subprocess, "run", lambda *words, **more: pytest.fail("pip was started"))
    found, said = fetch(OnnxRuntime().needs(), BOX)
    assert said == [] and found.folder.archives


def test_a_device_that_no_wheel_fits_is_named_with_what_it_has(tmp_path, monkeypatch):
    monkeypatch.setenv("HWLOOP_CACHE_DIR", str(tmp_path))
    with pytest.raises(DeviceUnsuited, match=r"device pi: .*riscv64, glibc 2.36, Python 3.11"):
        fetch(OnnxRuntime().needs(), replace(BOX, machine="riscv64"))
    assert not list((tmp_path / "wheels").glob("*"))


def test_an_index_that_is_not_reached_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("HWLOOP_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(FetchError, match="pip could not fetch"):
        fetch(RuntimeNeeds("onnxruntime", (WheelNeed("hwloop-has-no-such-dependency==1"),)), BOX)


def test_a_fetch_ends_at_its_deadline(tmp_path, monkeypatch):
    monkeypatch.setenv("HWLOOP_CACHE_DIR", str(tmp_path))
    with pytest.raises(FetchError, match="too long"):
        provision(OnnxRuntime().needs(), "pi", BOX, Deadline.after(0.05), print)
