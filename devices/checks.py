"""What is compared before anything is sent to a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwloop.errors import DeviceUnsuited

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hwloop.records import DeviceFacts, Target

OLDEST_PYTHON = (3, 8)
OLDEST_GLIBC = (2, 27)
LEAST_MEMORY_BYTES = 256 << 20
LEAST_DISK_BYTES = 256 << 20

# LLVM's names of features beside the kernel's flags, where they differ.
KERNEL_FLAGS = {
    "neon": "asimd",
    "dotprod": "asimddp",
    "fullfp16": "asimdhp",
    "avx512vnni": "avx512_vnni",
    "avxvnni": "avx_vnni",
    "sse4.2": "sse4_2",
    "sse4.1": "sse4_1",
}
# What LLVM's x86-64 levels take for granted, beyond the first.
LEVEL_FLAGS = {
    "x86-64-v2": ("sse4_2", "popcnt"),
    "x86-64-v3": ("avx2", "fma", "bmi2"),
    "x86-64-v4": ("avx512f", "avx512bw", "avx512vl", "avx512dq"),
}


def general_problems(facts: DeviceFacts) -> Iterator[str]:
    """Yield what keeps hwloop from working on a device at all."""
    if facts.python < OLDEST_PYTHON:
        yield f"its Python is {'.'.join(map(str, facts.python))}; {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} is needed"
    if facts.glibc == (0, 0):
        yield "its C library is not glibc"
    elif facts.glibc < OLDEST_GLIBC:
        yield f"its glibc is {_dotted(facts.glibc)}; {_dotted(OLDEST_GLIBC)} is needed"
    if facts.memory_bytes < LEAST_MEMORY_BYTES:
        yield f"it has {facts.memory_bytes / 1e6:.0f} MB of memory; {LEAST_MEMORY_BYTES / 1e6:.0f} MB are needed"
    if facts.disk_free_bytes < LEAST_DISK_BYTES:
        yield (
            f"{facts.cache_dir} has {facts.disk_free_bytes / 1e6:.0f} MB free; "
            f"{LEAST_DISK_BYTES / 1e6:.0f} MB are needed"
        )


def target_problems(facts: DeviceFacts, target: Target) -> Iterator[str]:
    """Yield what keeps code for `target` from running on a device."""
    if target.machine != facts.machine:
        yield f"its architecture is {facts.machine}, and the code is for {target.machine}"
        return
    if facts.glibc < target.glibc:
        yield f"its glibc is {_dotted(facts.glibc)}, and the code needs {_dotted(target.glibc)}"
    missing = [flag for flag in _flags(target) if flag not in facts.cpu_features]
    if missing:
        yield f"its CPU lacks {', '.join(missing)}, which the code uses"


def refuse_unsuited(device: str, problems: Iterable[str]) -> None:
    """Raise if there are problems.

    Raises:
        DeviceUnsuited: naming every one of them.
    """
    found = list(problems)
    if found:
        raise DeviceUnsuited(device, "; ".join(found), remedy="`hwloop devices facts` shows what the device has.")


def _flags(target: Target) -> list[str]:
    wanted = list(LEVEL_FLAGS.get(target.cpu, ()))
    for feature in target.features:
        if feature.startswith("+"):
            wanted.append(KERNEL_FLAGS.get(feature[1:], feature[1:]))
    return wanted


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
