"""What a runner may answer to a profile."""

import pytest

from hwloop.devices.profiling import parse_profile
from hwloop.errors import RunnerError
from hwloop.records import Failure, FailureKind, KernelCost

KERNEL = {"name": "n", "kind": "Conv", "runs": 2.0, "cost": 1500.5}


def test_calls_and_kernels_are_taken():
    found = parse_profile("box", {"ok": {"calls": [10, 12], "kernels": [KERNEL]}})
    assert found.calls == (10, 12)
    assert found.kernels == (KernelCost("n", "Conv", 2.0, 1500.5),)


def test_a_failure_is_data():
    reply = {"failure": {"kind": "crashed", "message": "m", "detail": "d"}}
    assert parse_profile("box", reply) == Failure(FailureKind.CRASH, "m", "d")


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"ok": {"calls": [], "kernels": [KERNEL]}},
        {"ok": {"calls": [1], "kernels": []}},
        {"ok": {"calls": [True], "kernels": [KERNEL]}},
        {"ok": {"calls": [1], "kernels": [{**KERNEL, "cost": -1}]}},
        {"ok": {"calls": [1], "kernels": [{**KERNEL, "cost": float("nan")}]}},
        {"ok": {"calls": [1], "kernels": [{"name": "n"}]}},
        {"failure": {"kind": "of no kind", "message": "", "detail": ""}},
    ],
)
def test_whatever_else_comes_is_the_device_s_fault(reply):
    with pytest.raises(RunnerError, match="not of the agreed form"):
        parse_profile("box", reply)
