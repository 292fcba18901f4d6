"""Libraries are linked for the target's architecture and glibc, with whatever linker this host has."""

import struct
import subprocess

import pytest

from hwloop.errors import UsageError
from hwloop.exporter import toolchain
from hwloop.exporter.toolchain import linkers_for, needed_glibc
from hwloop.records import Target

ELF_MACHINES = {"x86_64-linux-gnu": 62, "aarch64-linux-gnu": 183}


def target(triple: str, glibc: tuple[int, int] = (2, 28)) -> Target:
    return Target(triple, "generic", glibc=glibc)


def link(command: list[str], tmp_path, body: str) -> bytes:
    source, library = tmp_path / "code.c", tmp_path / "code.so"
    source.write_text(body)
    subprocess.run([*command, "-shared", "-fPIC", "-o", library, source, "-lm"], check=True, timeout=280)
    return library.read_bytes()


@pytest.mark.parametrize("triple", ELF_MACHINES)
def test_a_library_is_for_the_targets_architecture(tmp_path, triple):
    for command in linkers_for(target(triple)):
        library = link(command, tmp_path, "double exp(double); double f(double x) { return exp(x); }")
        assert struct.unpack_from("<H", library, 18)[0] == ELF_MACHINES[triple]


def test_the_last_linker_keeps_to_the_targets_glibc(tmp_path):
    """`exp` has a newer version since glibc 2.29; a library for 2.28 must take the old one."""
    body = "double exp(double); double f(double x) { return exp(x); }"
    link(linkers_for(target("aarch64-linux-gnu"))[-1], tmp_path, body)
    assert needed_glibc(tmp_path / "code.so") == (2, 17)


def test_a_file_without_versions_needs_none(tmp_path):
    file = tmp_path / "code.so"
    file.write_bytes(b"\x7fELF and nothing more")
    assert needed_glibc(file) == (0, 0)


def test_the_hosts_compiler_serves_the_hosts_architecture_alone(monkeypatch):
    monkeypatch.setattr(toolchain.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: f"/bin/{name}" if name == "cc" else None)
    assert linkers_for(target("x86_64-linux-gnu"))[0] == ["/bin/cc"]
    assert ["/bin/cc"] not in linkers_for(target("aarch64-linux-gnu"))


def test_debians_cross_compiler_comes_before_ziglang(monkeypatch):
    monkeypatch.setattr(toolchain.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: f"/bin/{name}" if "aarch64" in name else None)
    first, last = linkers_for(target("aarch64-linux-gnu"))
    assert first == ["/bin/aarch64-linux-gnu-gcc"]
    assert last[1:] == ["-m", "ziglang", "cc", "-target", "aarch64-linux-gnu.2.28"]


def test_a_host_without_any_linker_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="no linker for aarch64-linux-gnu") as caught:
        linkers_for(target("aarch64-linux-gnu"))
    assert "[tvm]" in caught.value.remedy
