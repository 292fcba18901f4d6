"""What a compiler is told of a device."""

import pytest

from hwloop.exporter.device_target import target_for
from hwloop.records import DeviceFacts

V2 = ("sse3", "ssse3", "sse4_1", "sse4_2", "popcnt", "cx16")
V3 = (*V2, "avx", "avx2", "fma", "bmi1", "bmi2", "f16c", "movbe", "abm")
V4 = (*V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")


def facts(machine: str, *flags: str, part: str = "", glibc: tuple[int, int] = (2, 36)) -> DeviceFacts:
    return DeviceFacts(machine, "6.1", glibc, (3, 11, 2), "a CPU", part, flags, 4, 1 << 33, 1 << 33, "/c", "id")


@pytest.mark.parametrize(
    ("flags", "cpu", "features"),
    [
        ((), "x86-64", ()),
        (V2, "x86-64-v2", ()),
        (V3, "x86-64-v3", ()),
        ((*V3, "avx_vnni"), "x86-64-v3", ("+avxvnni",)),
        (V4, "x86-64-v4", ()),
        ((*V4, "avx512_vnni"), "x86-64-v4", ("+avx512vnni",)),
        ((*V2, "avx2"), "x86-64-v2", ()),
    ],
)
def test_an_x86_machine_is_of_the_highest_level_that_its_flags_allow(flags, cpu, features):
    target = target_for(facts("x86_64", *flags))
    assert (target.triple, target.cpu, target.features) == ("x86_64-linux-gnu", cpu, features)


@pytest.mark.parametrize(
    ("part", "cpu"),
    [
        ("0xd03", "cortex-a53"),
        ("0xd07", "cortex-a57"),
        ("0xd08", "cortex-a72"),
        ("0xd0b", "cortex-a76"),
        ("0xd0c", "neoverse-n1"),
        ("0xd42", "cortex-a78ae"),
        ("0xfff", "generic"),
        ("", "generic"),
    ],
)
def test_an_arm_core_is_known_by_its_part_number(part, cpu):
    target = target_for(facts("aarch64", "fp", "asimd", part=part))
    assert (target.triple, target.cpu, target.features) == ("aarch64-linux-gnu", cpu, ("+neon",))


def test_arm_features_follow_the_kernels_flags():
    target = target_for(facts("aarch64", "asimd", "asimddp", "asimdhp", "i8mm", part="0xd0b"))
    assert target.features == ("+neon", "+dotprod", "+fullfp16", "+i8mm")


def test_cores_and_the_older_glibc_are_the_devices():
    assert target_for(facts("aarch64")).num_cores == 4
    assert target_for(facts("aarch64", glibc=(2, 36))).glibc == (2, 28)
    assert target_for(facts("aarch64", glibc=(2, 27))).glibc == (2, 27)
