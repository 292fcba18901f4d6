"""What a device lacks is named before anything large is sent to it."""

from dataclasses import replace

import pytest

from hwloop.devices.checks import general_problems, refuse_unsuited, target_problems
from hwloop.errors import DeviceUnsuited
from hwloop.records import DeviceFacts, Target

PI = DeviceFacts(
    machine="aarch64",
    kernel="6.6",
    glibc=(2, 36),
    python=(3, 11, 2),
    cpu_model="Raspberry Pi 4",
    cpu_part="0xd08",
    cpu_features=("asimd", "crc32", "fp"),
    cores=4,
    memory_bytes=4 << 30,
    disk_free_bytes=8 << 30,
    cache_dir="/home/pi/.cache/hwloop/device",
    identity="1",
)
FOR_PI = Target("aarch64-linux-gnu", "cortex-a72", ("+neon",), 4, (2, 28))


def test_a_fit_device_has_no_problems():
    assert list(general_problems(PI)) == []
    assert list(target_problems(PI, FOR_PI)) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"python": (3, 7, 3)}, "Python is 3.7.3"),
        ({"glibc": (2, 19)}, "glibc is 2.19"),
        ({"glibc": (0, 0)}, "not glibc"),
        ({"memory_bytes": 64 << 20}, "67 MB of memory"),
        ({"disk_free_bytes": 1 << 20}, "1 MB free"),
    ],
)
def test_what_keeps_hwloop_from_working_is_named(changes, told):
    (problem,) = general_problems(replace(PI, **changes))
    assert told in problem


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (Target("x86_64-linux-gnu", "x86-64-v3"), "architecture is aarch64, and the code is for x86_64"),
        (replace(FOR_PI, glibc=(2, 39)), "the code needs 2.39"),
        (replace(FOR_PI, features=("+neon", "+dotprod")), "lacks asimddp"),
    ],
)
def test_what_keeps_code_from_running_is_named(target, told):
    (problem,) = target_problems(PI, target)
    assert told in problem


def test_an_x86_level_stands_for_its_features():
    box = replace(PI, machine="x86_64", cpu_features=("sse4_2", "popcnt", "avx2", "fma", "bmi2"))
    assert list(target_problems(box, Target("x86_64-linux-gnu", "x86-64-v3", glibc=(2, 28)))) == []
    (problem,) = target_problems(box, Target("x86_64-linux-gnu", "x86-64-v4", glibc=(2, 28)))
    assert "avx512f" in problem


def test_all_problems_are_told_at_once():
    weak = replace(PI, python=(3, 7, 3), memory_bytes=1 << 20)
    with pytest.raises(DeviceUnsuited, match=r"Python.*memory") as told:
        refuse_unsuited("pi", general_problems(weak))
    assert told.value.device == "pi"
