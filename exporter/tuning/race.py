"""The seam to whoever can time kernels on a device."""

from __future__ import annotations

from typing import Protocol

from hwloop.exporter.tuning.kernels import Candidate
from hwloop.records import Failure
from hwloop.records.comparison import Judgement


class Race(Protocol):
    """Times kernels on one device; its errors are HwloopErrors, a candidate's failure is what it returns."""

    def time_ns(self, one: Candidate) -> float | Failure:
        """Return what a call of a kernel takes, about."""

    def ratio(self, rule: Candidate, other: Candidate) -> float | Failure:
        """Return the time of one way to make a kernel by the rule's own, about: a short look, in turns."""

    def judge(self, rule: Candidate, other: Candidate) -> Judgement | Failure:
        """Return what many sets of turns show of the two."""
