"""The seam for kernel rules."""

from __future__ import annotations

from typing import Any, Protocol

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.rules.tilings import Options


class Rule(Protocol):
    """Turns one kind of kernel into fast code."""

    @property
    def name(self) -> str:
        """What the rule covers, in a word or two: `matmul`."""

    def apply(self, kernel: Any, machine: Machine) -> Any | None:
        """Return the scheduled PrimFunc, or None when the rule does not match; `kernel` is left as it is."""

    def options(self, kernel: Any, machine: Machine) -> Options:
        """Return what else could be done with a kernel that the rule matches, for `machine.tiling`."""
