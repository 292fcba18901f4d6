"""What a kernel rule must know of a CPU: vectors, registers, caches, cores; and, of tuned kernels, what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwloop.exporter.schedules import Tiling
from hwloop.records import Target


@dataclass(frozen=True)
class Machine:
    """A CPU as seen by the rules; `l1_bytes` and `l2_bytes` are a core's own data caches.

    `tiling` is what a rule is to do with one kernel; None leaves it to the rule.
    """

    vector_bits: int
    vector_registers: int
    fused_multiply_add: bool
    l1_bytes: int
    l2_bytes: int
    cores: int
    multiplies_by_lane: bool = False  # a multiply-add takes one lane of a vector for all of its left side
    integer_dot: str = ""  # "vnni", "sdot", or "" where products are widened and added
    tiling: Tiling | None = None

    @property
    def float_lanes(self) -> int:
        """Return how many 32-bit numbers a vector holds."""
        return self.vector_bits // 32

    def told(self, tiling: Tiling) -> Machine:
        """Return the machine for one kernel that is to be tiled so."""
        return replace(self, tiling=tiling, cores=tiling.cores or self.cores)


KIB = 1024
X86 = {
    "x86-64-v4": (512, 32, True, 32 * KIB, 1024 * KIB),
    "x86-64-v3": (256, 16, True, 32 * KIB, 256 * KIB),
    "x86-64-v2": (128, 16, False, 32 * KIB, 256 * KIB),
    "x86-64": (128, 16, False, 32 * KIB, 256 * KIB),
}
# Arm's technical reference manuals; the smallest common configuration of each core.
ARM = {
    "cortex-a53": (32 * KIB, 128 * KIB),
    "cortex-a72": (32 * KIB, 256 * KIB),
    "cortex-a76": (64 * KIB, 256 * KIB),
    "neoverse-n1": (64 * KIB, 512 * KIB),
}


def machine_for(target: Target) -> Machine:
    """Return what is known of a target's CPU; an unknown one is taken for the least of its family."""
    if target.triple.startswith("x86_64"):
        bits, registers, fma, l1, l2 = X86.get(target.cpu, X86["x86-64"])
        dot = "vnni" if {"+avx512vnni", "+avxvnni"} & set(target.features) else ""
        return Machine(bits, registers, fma, l1, l2, target.num_cores, integer_dot=dot)
    l1, l2 = ARM.get(target.cpu, (32 * KIB, 128 * KIB))
    dot = "sdot" if "+dotprod" in target.features or target.cpu in ("cortex-a76", "neoverse-n1") else ""
    return Machine(128, 32, True, l1, l2, target.num_cores, multiplies_by_lane=True, integer_dot=dot)
