"""A job that was built here for an Arm board runs on one."""

import pytest

from hwloop.carried import import_results
from hwloop.deadline import Deadline
from hwloop.devices.fleet import BundleDevice, Device, EmulatedDevice, LimitSettings, TargetSettings
from hwloop.devices.transports.factory import open_transport
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.store import Store

pytestmark = [pytest.mark.emulated, pytest.mark.timeout(900)]

BOARD = Device("pi4", EmulatedDevice(transport="emulated", board="pi4"))
CARRIED = Device(
    "by-hand",
    BundleDevice(
        transport="bundle",
        python="3.11",
        target=TargetSettings(triple="aarch64-linux-gnu", cpu="cortex-a72", features=("+neon",), glibc="2.36"),
        limits=LimitSettings(settle_s=0),
    ),
)


def test_it_computes_there_what_is_right(carry, tmp_path):
    made = carry(tmp_path / "arm", runtimes=[Tvm()], device=CARRIED)
    deadline = Deadline.after(600)
    transport = open_transport(BOARD, print, deadline)
    try:
        transport.put(made.archive, "/tmp/carried/job.pyz", deadline)
        ran = transport.run(["sh", "-c", "cd /tmp/carried && python3 -I job.pyz --cache /tmp/carried/cache"], deadline)
        assert ran.status == 0, ran.stderr
        made.results.write_bytes(transport.get("/tmp/carried/job.results", deadline))
    finally:
        transport.run(["rm", "-rf", "/tmp/carried"], deadline)
        transport.close()
    with Store.open(made.store) as store:
        found = import_results(made.results, store)
        (one,) = found.measurements
        assert one.failure is None
        assert all(run.outputs_match for run in store.runs(one.id))
