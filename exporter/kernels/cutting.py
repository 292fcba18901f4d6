"""A model cut into kernels, with what else can be told from the cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hwloop.exporter.kernels.describing import describe
from hwloop.exporter.kernels.fusing import Group, fuse
from hwloop.exporter.kernels.liveness import peak_bytes
from hwloop.exporter.kernels.parameters import count_parameters
from hwloop.exporter.kernels.patterns import join_patterns
from hwloop.exporter.kernels.reading import read_graph
from hwloop.exporter.kernels.uses import Uses
from hwloop.records import Kernel

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Cut:
    """The operators of a model in groups, each of which is one kernel."""

    uses: Uses
    groups: tuple[Group, ...]

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels, in an order in which they can run."""
        return tuple(describe(self.uses, group) for group in self.groups)

    @property
    def peak_activation_bytes(self) -> int:
        """The most that is alive at once."""
        return peak_bytes(self.uses, self.groups)

    @property
    def parameters(self) -> int:
        """How many trained numbers the kernels read."""
        return count_parameters(self.uses)


def cut(model: onnx.ModelProto, sizes: Mapping[str, int]) -> Cut:
    """Cut a model into kernels; `sizes` and what it raises (nothing) are as for `kernels_of`."""
    uses = join_patterns(read_graph(model, sizes))
    return Cut(uses, tuple(fuse(uses)))
