"""What candidates are weighed by, as pages show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """What a search weighs.

    `key` is `accuracy`, `latency`, `latency@DEVICE` or `size`. `unit` is `ms`, `instructions`, `bytes`, `fraction`
    (shown in percent), or any other word, which is shown as it is.
    """

    key: str
    unit: str
    maximize: bool = False

    @property
    def title(self) -> str:
        """The key in words."""
        name, at, device = self.key.partition("@")
        return f"{name} on {device}" if at else name

    def as_json(self) -> dict[str, object]:
        """Return what a page reads."""
        return {"key": self.key, "title": self.title, "unit": self.unit, "maximize": self.maximize}
