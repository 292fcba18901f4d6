"""The QEMU that counts: laid into the root file system with its libraries and the counting plugin."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.devices.emulator.boards import Board
from hwloop.devices.emulator.host import find_program, run_as_root
from hwloop.digests import digest_bytes
from hwloop.errors import EmulatorError

PLUGIN_SOURCE = Path(__file__).with_name("count_insns.c")
FOLDER = "opt/hwloop"
COMPILE_S = 60.0
GUEST_PATH = "/usr/local/bin:/usr/bin:/bin"


def counted_prefix(board: Board) -> tuple[str, ...]:
    """Return what precedes an absolute path of a program on the board so that its instructions are counted.

    The program and what it forks (not what those then start) run under the plugin: a mark of theirs, as
    count_insns.c says, writes the count into their own memory. Environment and addresses are always the same.
    """
    qemu = f"/{FOLDER}/qemu"
    return (
        "env", "-i", f"PATH={GUEST_PATH}", "HOME=/root", "LC_ALL=C.UTF-8",
        "PYTHONHASHSEED=0", "OMP_NUM_THREADS=1",
        "PYTHONDONTWRITEBYTECODE=1",  # a first import that compiles leaves another heap than the next
        "setarch", "-R",
        f"{qemu}/ld-linux-x86-64.so.2", "--library-path", qemu, f"{qemu}/qemu-aarch64",
        "-cpu", board.qemu_cpu, "-seed", "1", "-plugin", f"{qemu}/count_insns.so",
    )  # fmt: skip


def lay_counting_qemu(root: Path, deadline: Deadline) -> None:
    """Put QEMU and the plugin below `root`, unless those of the same content are there.

    The static QEMU behind binfmt_misc takes no plugins; this one is a dynamic program of the host's.
    """
    qemu, gcc = find_program("qemu-aarch64"), find_program("gcc")
    if qemu is None or gcc is None:
        raise EmulatorError("qemu-aarch64 or gcc is missing", remedy="Install Debian's qemu-user and gcc.")
    content = Path(qemu).read_bytes() + PLUGIN_SOURCE.read_bytes()
    target = root / FOLDER / digest_bytes(content)[:16]
    if not target.is_dir():
        building = root.parent / "qemu.building"
        run_as_root(["rm", "-rf", str(building)], deadline)
        building.mkdir()
        _compile_plugin(gcc, building / "count_insns.so", deadline)
        libraries = re.findall(r"(/\S+)\s+\(0x", run_as_root(["ldd", qemu], deadline))
        run_as_root(["cp", "-L", qemu, *libraries, str(building)], deadline)
        run_as_root(["mkdir", "-p", str(target.parent)], deadline)
        run_as_root(["mv", "-T", str(building), str(target)], deadline)
    link = target.with_name("qemu")
    if not link.is_symlink() or link.readlink() != Path(target.name):
        run_as_root(["ln", "-sfn", target.name, str(link)], deadline)


def _compile_plugin(gcc: str, output: Path, deadline: Deadline) -> None:
    command = [gcc, "-O2", "-shared", "-fPIC", "-Wall", "-o", str(output), str(PLUGIN_SOURCE)]
    limit_s = deadline.at_most(COMPILE_S).remaining_s
    try:
        built = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise EmulatorError(f"{gcc} did not end in time") from error
    if built.returncode != 0:
        raise EmulatorError(f"the counting plugin does not compile: {built.stderr.strip()}")
