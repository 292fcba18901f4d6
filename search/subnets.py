"""From a point of a space to ONNX: no exporter of torch's, a fraction of a second each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from hwloop.exporter.tracing import trace
from hwloop.records import Arch
from hwloop.search.spaces.base import Part, Setting, Supernet

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Subnet:
    """One exported part of a candidate; its latency counts `repeats` times."""

    part: str
    model: onnx.ModelProto
    repeats: int


def export_subnets(supernet: Supernet, arch: Arch, setting: Setting) -> list[Subnet]:
    """Return the parts of a subnet as ONNX models in fp32, with nodes named after the supernet's layers.

    Raises:
        UsageError: a size does not fit the subnet.
        ModelError: the supernet does what has no ONNX form here.
    """
    supernet.activate(arch)
    module = module_of(supernet)
    return [
        Subnet(part.name, trace(module, part.inputs, part.outputs, part.forward), part.repeats)
        for part in supernet.parts(setting)
    ]


def run_subnet(supernet: Supernet, part: Part, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the outputs that torch computes for a part of the active subnet, by name."""
    module_of(supernet).eval()
    with torch.no_grad():
        found = part.forward(*(torch.from_numpy(inputs[spec.name]) for spec in part.inputs))
    values = list(found) if isinstance(found, list | tuple) else [found]
    return {name: value.numpy() for name, value in zip(part.outputs, values, strict=True)}


def layer_names(supernet: Supernet) -> list[str]:
    """Return the names of all layers that a policy can address, in their order.

    They are linear layers, convolutions and embeddings.
    """
    kinds = nn.Linear | nn.Conv2d | nn.Embedding
    return [name for name, module in module_of(supernet).named_modules() if isinstance(module, kinds)]


def module_of(supernet: Supernet) -> nn.Module:
    """Return a supernet as the torch module that it is."""
    if not isinstance(supernet, nn.Module):
        raise TypeError(f"{type(supernet).__name__} is no torch.nn.Module")
    return supernet
