"""Spaces by name: those that come with hwloop, and a user's own out of a Python file."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from pathlib import Path

from hwloop.errors import UsageError
from hwloop.search.spaces.base import Space

# Name, and where it stands: a file is imported only when its space is asked for.
SPACES = {
    "vit-tiny": "hwloop.search.spaces.vit:VIT_TINY",
    "vit-mini": "hwloop.search.spaces.vit:VIT_MINI",
    "resnet50": "hwloop.search.spaces.resnet:RESNET50",
    "resnet-mini": "hwloop.search.spaces.resnet:RESNET_MINI",
    "mobile-efficientnet": "hwloop.search.spaces.mobile:MOBILE_EFFICIENTNET",
    "mobile-mini": "hwloop.search.spaces.mobile:MOBILE_MINI",
}


def load_space(name: str) -> Space:
    """Return a space by its name, or by `FILE.py:NAME` out of a user's own file.

    Raises:
        UsageError: there is no such space.
    """
    place = SPACES.get(name)
    if place is not None:
        module, _, attribute = place.partition(":")
        return _space(getattr(import_module(module), attribute), name)
    path, colon, attribute = name.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise UsageError(
            f"there is no space {name!r}", remedy=f"The spaces are {', '.join(SPACES)}; your own is FILE.py:NAME."
        )
    return _space(_own(Path(path), attribute), name)


def _own(path: Path, attribute: str) -> object:
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file", remedy="Check the path.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, attribute):
        raise UsageError(f"{path}: it has no {attribute}", remedy=f"Write {attribute} = Space(...) in it.")
    return getattr(module, attribute)


def _space(found: object, name: str) -> Space:
    if not isinstance(found, Space):
        raise UsageError(f"{name}: this is no Space", remedy="Make one with hwloop.search.spaces.base.Space.")
    return found
