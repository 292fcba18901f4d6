"""Objects out of a user's own Python file."""

from __future__ import annotations

import importlib.util
import traceback
from pathlib import Path
from typing import Any

from hwloop.errors import UsageError


def own_object(path: Path, attribute: str, form: str) -> Any:
    """Run a Python file and return what it calls `attribute`; `form` shows how one is made.

    Raises:
        UsageError: there is no such file, it has no such name, or running it failed; the line is told.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file", remedy="Check the path.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        frames = [
            frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path.absolute()
        ]
        place = f"{path}:{frames[-1].lineno}" if frames else str(path)
        raise UsageError(f"{place}: {type(error).__name__}: {error}", remedy="Mend that file.") from error
    if not hasattr(module, attribute):
        raise UsageError(f"{path}: it has no {attribute}", remedy=f"Write {attribute} = {form} in it.")
    return getattr(module, attribute)
