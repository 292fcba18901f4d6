"""Layers in groups that a search gives one scheme each."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from hwloop.errors import UsageError
from hwloop.records.candidate import EVERY_LAYER


class Granularity(StrEnum):
    """How finely schemes are chosen."""

    LAYER = "layer"
    BLOCK = "block"
    MODEL = "model"


def policy_groups(layers: Iterable[str], granularity: Granularity | str) -> dict[str, list[str]]:
    """Return the layers of each group, both in order; a group's name is a rule of a `QuantPolicy` that fits it.

    Raises:
        UsageError: there is no such granularity.
    """
    try:
        granularity = Granularity(granularity)
    except ValueError:
        allowed = ", ".join(Granularity)
        raise UsageError(f"there is no granularity {granularity!r}", remedy=f"Use one of {allowed}.") from None
    groups: dict[str, list[str]] = {}
    for layer in layers:
        name = {Granularity.LAYER: layer, Granularity.BLOCK: block_of(layer), Granularity.MODEL: EVERY_LAYER}
        groups.setdefault(name[granularity], []).append(layer)
    return groups


def block_of(layer: str) -> str:
    """Return the block of a layer.

    It is the name up to its first run of numbers (`encoder.0` of `encoder.0.ffn.fc1`, `stages.0.1` of
    `stages.0.1.conv2`); without numbers, the name but for its last part (`head` of `head.fc`); a name of one part is
    a block of its own.
    """
    parts = layer.split(".")
    end = next((place for place, part in enumerate(parts) if part.isdigit()), None)
    if end is None:
        return ".".join(parts[:-1]) or layer
    while end < len(parts) and parts[end].isdigit():
        end += 1
    return ".".join(parts[:end])
