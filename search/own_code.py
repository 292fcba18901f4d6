"""Objects out of a user's own Python file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hwloop.errors import UsageError


def own_object(path: Path, attribute: str, form: str) -> Any:
    """Run a Python file and return what it calls `attribute`; `form` shows how one is made.

    Raises:
        UsageError: there is no such file, or it has no such name.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file", remedy="Check the path.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, attribute):
        raise UsageError(f"{path}: it has no {attribute}", remedy=f"Write {attribute} = {form} in it.")
    return getattr(module, attribute)
