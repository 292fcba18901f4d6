"""Options that several commands share, from text to values."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hwloop.cli.output import say
from hwloop.errors import UsageError

RUNTIMES = ("onnxruntime", "tvm")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Care:
    """How a device that is busy or failing is dealt with."""

    wait: bool
    patience_s: float
    despite_quarantine: bool


def parse_pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Return the values of an option of the form NAME=VALUE, by name.

    Raises:
        UsageError: a text is not of that form.
    """
    pairs = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals or not name or not value:
            raise UsageError(f"{option} {text}: this is not of the form NAME=VALUE")
        pairs[name] = value
    return pairs


def parse_shapes(texts: Sequence[str]) -> dict[str, int]:
    """Return the sizes of symbolic dimensions, by name.

    Raises:
        UsageError: a size is no whole number of 1 or more.
    """
    sizes = {}
    for name, text in parse_pairs("--shape", texts).items():
        if not text.isdecimal() or int(text) < 1:
            raise UsageError(f"--shape {name}={text}: a size is a whole number of 1 or more")
        sizes[name] = int(text)
    return sizes


def refuse_strange_runtimes(names: Sequence[str]) -> None:
    """Raise UsageError for a runtime that does not exist."""
    for name in names:
        if name not in RUNTIMES:
            raise UsageError(f"there is no runtime {name!r}", remedy=f"The runtimes are {', '.join(RUNTIMES)}.")


def installed_runtimes() -> list[str]:
    """Return the runtimes that models can be built for here, and say which one is missing."""
    if importlib.util.find_spec("tvm"):
        return list(RUNTIMES)
    say("TVM's compiler is not installed (pip install 'hwloop[tvm]'), so onnxruntime alone is measured.")
    return ["onnxruntime"]


def parse_moment(option: str, text: str) -> datetime | None:
    """Return the moment that `text` names: so long ago, or a date and time, local unless it names a zone.

    Raises:
        UsageError: the text is no time; "" is none, too.
    """
    if not text:
        return None
    ago = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    try:
        if ago:
            return datetime.now(UTC) - timedelta(seconds=float(ago[1]) * SECONDS[ago[2]])
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option} {text}: this is no time", remedy="Write 90m, 2h, 7d, 2026-01-31 or 2026-01-31T12:00."
        ) from None
