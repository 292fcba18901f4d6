"""`driver/` in a bundle: the runner's own code for a runtime, so that a bundle runs as its model was measured."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

from hwloop.devices.runner_file import SOURCES

MODULES = {"tvm": "tvm_runtime", "onnxruntime": "onnx_runtime"}
TEXT = '"""Drives the runtime of this bundle; `model.py` is where to begin."""\n'


def write_driver(folder: Path, runtime: str, model: Path) -> None:
    """Write the code that drives a runtime into an empty folder, and `model`, which is what users begin with."""
    (folder / "__init__.py").write_text(TEXT)
    shutil.copyfile(model, folder / "model.py")
    for name in needed_modules(MODULES[runtime]):
        shutil.copyfile(SOURCES / f"{name}.py", folder / f"{name}.py")


def needed_modules(name: str) -> list[str]:
    """Return a module of the runner and all those of it that it imports when it is loaded, sorted."""
    found: set[str] = set()
    wanted = [name]
    while wanted:
        module = wanted.pop()
        if module not in found:
            found.add(module)
            statements = ast.parse((SOURCES / f"{module}.py").read_text()).body
            wanted += [one.module for one in statements if isinstance(one, ast.ImportFrom) and one.level and one.module]
    return sorted(found)
