"""A case of a plan: one model on one device with one runtime, and what was found of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from hwloop.records import Measurement


class Status(StrEnum):
    """What came of looking at something."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # this device cannot show it


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what was found, in words with figures and, where it failed, a remedy."""

    what: str
    status: Status
    words: str


@dataclass
class Case:
    """One model on one device with one runtime; `error` is why its device could not measure it."""

    check: str
    model: str
    device: str
    runtime: str
    measurement: Measurement | None = None
    findings: list[Finding] = field(default_factory=list)
    error: str = ""

    @property
    def name(self) -> str:
        """Its name in the baseline."""
        return f"{self.check}: {self.model} on {self.device} with {self.runtime}"

    @property
    def failed(self) -> list[Finding]:
        """What is wrong with it."""
        return [one for one in self.findings if one.status is Status.FAILED]

    @property
    def result(self) -> str:
        """`passed`, `failed`, or `error` where nothing could be measured."""
        return "error" if self.error else "failed" if self.failed else "passed"

    def as_json(self) -> dict[str, object]:
        """Return the item that `hwloop ci --json` prints."""
        return {
            "check": self.check,
            "model": self.model,
            "device": self.device,
            "runtime": self.runtime,
            "result": self.result,
            "error": self.error or None,
            "findings": [{"what": one.what, "status": one.status.value, "words": one.words} for one in self.findings],
            "measurement": self.measurement and self.measurement.as_json(),
        }
