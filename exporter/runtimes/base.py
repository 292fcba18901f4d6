"""The seam for runtimes: from a model to what a device can load."""

from __future__ import annotations

from typing import Protocol

from hwloop.deadline import Deadline
from hwloop.exporter.model import Model
from hwloop.records import Artifact, Failure, RuntimeNeeds, Target


class Runtime(Protocol):
    """Builds artifacts for one runtime, and knows what that runtime needs on a device."""

    @property
    def name(self) -> str:
        """The runtime's name in DESIGN's words: `onnxruntime` or `tvm`."""

    @property
    def compiles(self) -> bool:
        """Whether a build loads this host's processors for more than a moment."""

    @property
    def revision(self) -> str:
        """A name that changes whenever what is built from the same model changes."""

    def needs(self) -> RuntimeNeeds:
        """Return the wheels that must stand on a device; the first one is the runtime itself."""

    def build(self, model: Model, target: Target, version: str, deadline: Deadline) -> Artifact | Failure:
        """Build a model for a target and for `version` of the runtime.

        What the model is to blame for is a Failure; what this host lacks is an exception.

        Raises:
            UsageError: a tool that the build needs is not installed.
            ModelError: the model's file changed after it was read.
        """

    def stop(self) -> None:
        """End builds in progress, from any thread; they raise InfrastructureError, and no more are started."""
