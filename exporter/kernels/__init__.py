"""Cutting an ONNX graph into the fused kernels that a runtime executes, without running it.

tensors.py     a value's type and shape; how a constant is stored
roles.py       what each operator is to a runtime
inference.py   onnx's rules for one node's outputs, remembered
contrib.py     the same for ONNX Runtime's own operators
values.py      arithmetic with shapes
reading.py     a model to operators: sizes bound, constants folded, views taken away
uses.py        who makes and who reads a value
patterns.py    norms and softmaxes in their parts, put together
fusing.py      which operators are one kernel
work.py        what an operator computes
schemes.py     what it computes in
describing.py  a group of operators to a record
liveness.py    how much is alive at once
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hwloop.exporter.kernels.cutting import Cut, cut
from hwloop.records import Kernel

if TYPE_CHECKING:
    import onnx

__all__ = ["Cut", "cut", "kernels_of"]


def kernels_of(model: onnx.ModelProto, sizes: Mapping[str, int]) -> tuple[Kernel, ...]:
    """Cut a model into the kernels that a runtime executes, in an order in which they can run.

    `sizes` bind symbolic dimensions by name, or `INPUT:AXIS` where they have none; a size that stays open, or depends
    on data, counts as one. Weights are not read, and may be missing. What is not known becomes a kernel of kind
    `other`: there is no graph that this fails for.
    """
    return cut(model, sizes).kernels
