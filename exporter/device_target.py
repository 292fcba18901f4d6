"""From a device's facts to what a compiler must know."""

from __future__ import annotations

from hwloop.records import DeviceFacts, Target

GLIBC_FLOOR = (2, 28)

# The kernel's CPU part numbers of Arm's cores, in LLVM's spelling.
ARM_PARTS = {
    "0xd03": "cortex-a53",
    "0xd04": "cortex-a35",
    "0xd05": "cortex-a55",
    "0xd07": "cortex-a57",
    "0xd08": "cortex-a72",
    "0xd09": "cortex-a73",
    "0xd0a": "cortex-a75",
    "0xd0b": "cortex-a76",
    "0xd0c": "neoverse-n1",
    "0xd40": "neoverse-v1",
    "0xd42": "cortex-a78ae",
    "0xd49": "neoverse-n2",
}
X86_LEVELS = (
    ("x86-64-v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
    ("x86-64-v3", {"avx2", "fma", "bmi1", "bmi2", "f16c", "movbe", "abm"}),
    ("x86-64-v2", {"sse4_2", "ssse3", "popcnt"}),
)
X86_FEATURES = {"avx512_vnni": "+avx512vnni", "avx_vnni": "+avxvnni"}
ARM_FEATURES = {"asimd": "+neon", "asimddp": "+dotprod", "asimdhp": "+fullfp16", "i8mm": "+i8mm"}


def target_for(facts: DeviceFacts) -> Target:
    """Return the target of a device; an unknown Arm core is `generic` with the features that the kernel shows."""
    flags = set(facts.cpu_features)
    if facts.machine == "x86_64":
        cpu = next((name for name, needed in X86_LEVELS if needed <= flags), "x86-64")
        features = tuple(feature for flag, feature in X86_FEATURES.items() if flag in flags)
    else:
        cpu = ARM_PARTS.get(facts.cpu_part, "generic")
        features = tuple(feature for flag, feature in ARM_FEATURES.items() if flag in flags)
    floor = min(GLIBC_FLOOR, facts.glibc)
    return Target(f"{facts.machine}-linux-gnu", cpu, features, facts.cores, floor)
