"""What goes into every job: the modules that run it, under their own names."""

from __future__ import annotations

from pathlib import Path

import hwloop
from hwloop import devices

# They need Python 3.8 and each other, nothing else; packages are empty there.
MODULES = (
    "hwloop.errors",
    "hwloop.intervals",
    "hwloop.schedule",
    "hwloop.digests",
    "hwloop.records.device",
    "hwloop.records.evidence",
    "hwloop.records.limits",
    "hwloop.records.protocol",
    "hwloop.devices.checks",
    "hwloop.devices.gates",
    "hwloop.devices.runner.wire",
    "hwloop.devices.carried.bench",
    "hwloop.devices.carried.job_file",
    "hwloop.devices.carried.journal",
    "hwloop.devices.carried.main",
    "hwloop.devices.carried.measuring",
    "hwloop.devices.carried.results_file",
    "hwloop.devices.carried.runner_process",
)
START = """import sys
if sys.version_info < (3, 8):
    sys.exit("error: this needs Python 3.8 or newer, and this is %d.%d" % sys.version_info[:2])
from hwloop.devices.carried.main import main
main(sys.argv[0], sys.argv[1:])
"""


def packed_modules() -> dict[str, bytes]:
    """Return the content of every file that runs a job, by its name in the archive."""
    files = {"__main__.py": START.encode()}
    for module in MODULES:
        parts = module.split(".")
        for depth in range(1, len(parts)):
            files["/".join(parts[:depth]) + "/__init__.py"] = b""
        files["/".join(parts) + ".py"] = source_of(module).read_bytes()
    return files


def source_of(module: str) -> Path:
    """Return the file of one of these modules."""
    top, first, *others = module.split(".")
    assert top == hwloop.__name__
    if first == "devices":
        return Path(devices.__path__[0], *others).with_suffix(".py")
    return Path(hwloop.__path__[0], first, *others).with_suffix(".py")
