"""What an input holds."""

from __future__ import annotations

from typing import Any


def content(spec: dict[str, Any]) -> bytes:
    """Return an input's values in C order, little-endian: its `data`, or else what its file `path` holds."""
    if "data" in spec:
        data: bytes = spec["data"]
        return data
    with open(spec["path"], "rb") as file:
        return file.read()
