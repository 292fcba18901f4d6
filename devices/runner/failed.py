"""How a candidate fails."""

from __future__ import annotations


class Failed(Exception):
    """The candidate failed; `kind` is one of hwloop's failure kinds."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
