"""Spaces by name: those that come with hwloop, those of a file of weights, and a user's own out of a Python file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from hwloop.errors import UsageError
from hwloop.search.own_code import own_object
from hwloop.search.spaces.base import Space

# Name, and where it stands: a file is imported only when its space is asked for.
SPACES = {
    "hat-iwslt": "hwloop.search.spaces.hat:HAT_IWSLT",
    "hat-small": "hwloop.search.spaces.hat:HAT_SMALL",
    "hat-wmt": "hwloop.search.spaces.hat:HAT_WMT",
    "vit-tiny": "hwloop.search.spaces.vit:VIT_TINY",
    "vit-mini": "hwloop.search.spaces.vit:VIT_MINI",
    "bert-minilm": "hwloop.search.spaces.minilm:BERT_MINILM",
    "resnet50": "hwloop.search.spaces.resnet:RESNET50",
    "resnet-mini": "hwloop.search.spaces.resnet:RESNET_MINI",
    "mobile-efficientnet": "hwloop.search.spaces.mobile:MOBILE_EFFICIENTNET",
    "mobile-mini": "hwloop.search.spaces.mobile:MOBILE_MINI",
}
# Kinds of spaces that are made from a file of weights: `KIND:FILE.safetensors`.
KINDS = {"bert": "hwloop.search.spaces.bert_files:bert_space_from"}


def load_space(name: str) -> Space:
    """Return a space by its name, by `bert:FILE.safetensors` out of weights, or by `FILE.py:NAME` out of own code.

    Raises:
        UsageError: there is no such space, or the file cannot be used.
    """
    if name in SPACES:
        return _space(_imported(SPACES[name]), name)
    kind, colon, weights = name.partition(":")
    if colon and kind in KINDS:
        return _space(_imported(KINDS[kind])(Path(weights)), name)
    path, colon, attribute = name.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise UsageError(
            f"there is no space {name!r}",
            remedy=f"The spaces are {', '.join(SPACES)}, bert:FILE.safetensors, and your own as FILE.py:NAME.",
        )
    return _space(own_object(Path(path), attribute, "Space(...)"), name)


def _imported(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def _space(found: object, name: str) -> Space:
    if not isinstance(found, Space):
        raise UsageError(f"{name}: this is no Space", remedy="Make one with hwloop.search.spaces.base.Space.")
    return found
