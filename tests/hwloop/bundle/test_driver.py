"""A bundle brings what its driver imports of the runner, and nothing else of it."""

import subprocess
import sys

import pytest

from hwloop.bundle import building
from hwloop.bundle.driver import MODULES, needed_modules, write_driver


@pytest.mark.parametrize("runtime", MODULES)
def test_a_driver_imports_by_itself(runtime, tmp_path):
    folder = tmp_path / "driver"
    folder.mkdir()
    write_driver(folder, runtime, building.SHIPPED / "model.py")
    script = f"import sys; sys.path.insert(0, sys.argv[1]); import driver.model, driver.{MODULES[runtime]}"
    subprocess.run([sys.executable, "-I", "-S", "-c", script, str(tmp_path)], timeout=60, check=True)


@pytest.mark.parametrize("runtime", MODULES)
def test_a_driver_is_small(runtime):
    needed = needed_modules(MODULES[runtime])
    assert {"failed", "tensors", MODULES[runtime]} <= set(needed)
    assert not {"agent", "cache", "lease", "main", "sampling", "zygote"} & set(needed)
