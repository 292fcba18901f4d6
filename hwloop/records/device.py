"""A device as a compiler and a package resolver must know it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """What a compiler must know of a device.

    `triple` as in `aarch64-linux-gnu`; `cpu` in LLVM's spelling; `features` as in `+neon`; `glibc` is the
    oldest glibc that the code must load on.
    """

    triple: str
    cpu: str
    features: tuple[str, ...] = ()
    num_cores: int = 1
    glibc: tuple[int, int] = (2, 28)

    @property
    def machine(self) -> str:
        """The architecture as `uname -m` spells it."""
        return self.triple.split("-", 1)[0]


@dataclass(frozen=True)
class DeviceFacts:
    """What the runner found on a device.

    `machine` as in `uname -m`; `cpu_features` are the kernel's flags; `identity` tells one board from another.
    """

    machine: str
    kernel: str
    glibc: tuple[int, int]
    python: tuple[int, int, int]
    cpu_model: str
    cpu_part: str
    cpu_features: tuple[str, ...]
    cores: int
    memory_bytes: int
    disk_free_bytes: int
    cache_dir: str
    identity: str
