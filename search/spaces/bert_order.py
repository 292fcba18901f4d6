"""Orders the heads and neurons of a BERT supernet by importance, the most important first.

The order changes nothing of what the whole network computes: a head's rows of q, k and v move with its columns of the
output projection, a neuron's row of the first linear layer with its column of the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hwloop.search.spaces.bert import Bert

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Group:
    """Alike units of a layer, heads or neurons: what they read with and write with; `size` numbers belong to each."""

    name: str  # "layers.0.heads", "layers.0.ffn"
    readers: tuple[str, ...]  # linear layers whose rows are the units'; the last carries what is written
    writer: str  # the linear layer whose columns are the units'
    size: int


def groups(depth: int, head_width: int) -> Iterator[Group]:
    """Yield the heads and the neurons of each layer."""
    for number in range(depth):
        layer = f"layers.{number}"
        q, k, v, out = (f"{layer}.attention.{name}" for name in ("q", "k", "v", "out"))
        yield Group(f"{layer}.heads", (q, k, v), out, head_width)
        yield Group(f"{layer}.ffn", (f"{layer}.up",), f"{layer}.down", 1)


def norm_importance(weights: Weights, group: Group) -> Tensor:
    """Return the importance of each unit without data: the Frobenius norm of the linear map that it adds.

    A head adds W_out W_v x, weighted by its attention (Kobayashi et al., EMNLP 2020, judge heads by the norm of what
    they write); a neuron adds w_out w_in x behind its GELU, and the norm of that map is |w_out| |w_in|.
    """
    reader, writer = weights[f"{group.readers[-1]}.weight"].double(), weights[f"{group.writer}.weight"].double()
    units = writer.shape[1] // group.size
    reads = reader.reshape(units, group.size, -1)
    writes = writer.reshape(-1, units, group.size).transpose(0, 1)
    # |A B|² is the sum over (AᵀA) ∘ (B Bᵀ), which are as small as a head is wide.
    return ((writes.mT @ writes) * (reads @ reads.mT)).sum(dim=(1, 2)).clamp(min=0).sqrt()


def taylor_importance(supernet: Bert, losses: Iterable[Callable[[], Tensor]]) -> dict[str, Tensor]:
    """Return the importance of each unit of the active subnet on data, by the group's name.

    It is |∂L/∂ξ|, summed over the batches, where ξ = 1 scales what the unit writes (Michel et al., NeurIPS 2019): to
    first order, what the loss changes by when the unit is gone. `losses` compute the loss [] of one batch each; the
    paper's are of one example. As ξ scales columns of the writer, ∂L/∂ξ is the sum of weight ∘ gradient over them.
    """
    found = list(groups(len(supernet.layers), supernet.sizes.head_width))
    writers = [supernet.get_parameter(f"{group.writer}.weight") for group in found]
    totals = {
        group.name: torch.zeros(writer.shape[1] // group.size) for group, writer in zip(found, writers, strict=True)
    }
    for loss in losses:
        gradients = torch.autograd.grad(loss(), writers, allow_unused=True)
        for group, writer, gradient in zip(found, writers, gradients, strict=True):
            if gradient is not None:
                slopes = (writer.detach() * gradient).sum(dim=0).reshape(-1, group.size).sum(dim=1)
                totals[group.name] += slopes.abs()
    return totals


def by_importance(
    weights: Weights, depth: int, head_width: int, importance: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Return a supernet's weights with heads and neurons in the order of their importance, by norm where none is given.

    `importance` is by the group's name, [units] each; ties keep their order.
    """
    ordered = dict(weights)
    for group in groups(depth, head_width):
        score = norm_importance(weights, group) if importance is None else importance[group.name]
        units = score.argsort(descending=True, stable=True)
        places = (units[:, None] * group.size + torch.arange(group.size)).flatten()
        for reader in group.readers:
            ordered[f"{reader}.weight"] = weights[f"{reader}.weight"][places]
            ordered[f"{reader}.bias"] = weights[f"{reader}.bias"][places]
        ordered[f"{group.writer}.weight"] = weights[f"{group.writer}.weight"][:, places].contiguous()
    return ordered
