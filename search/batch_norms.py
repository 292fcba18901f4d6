"""Statistics of a subnet's own for its batch norms: those that all subnets share fit none of them.

So Once-for-All (Cai et al., ICLR 2020) and BigNAS (Yu et al., ECCV 2020) take them anew before a subnet is judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Statistics = dict[str, Tensor]


def statistics(network: nn.Module) -> Statistics:
    """Return a copy of the running means and variances of all batch norms, by their names in the state dict."""
    return {f"{name}.{kind}": value.clone() for name, norm in _norms(network) for kind, value in norm.named_buffers()}


def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running means and variances that the active subnet uses to their averages over some batches.

    Each batch [batch, ...] weighs the same. Whether the network trains is left as it was; weights do not change.
    """
    norms = [norm for _, norm in _norms(network)]
    trains = {module: module.training for module in network.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    network.eval()
    try:
        with torch.no_grad():
            for number, batch in enumerate(batches, start=1):
                for norm in norms:
                    norm.train()
                    norm.momentum = 1 / number  # the plain average, in which nothing of what was before is left
                network(batch)
    finally:
        for module, trained in trains.items():
            module.training = trained
        for norm, momentum in momenta.items():
            norm.momentum = momentum


@contextmanager
def recalibrated(network: nn.Module, batches: Iterable[Tensor]) -> Iterator[None]:
    """Give the active subnet statistics of its own for a while; those that are shared are back afterwards."""
    shared = statistics(network)
    try:
        recalibrate(network, batches)
        yield
    finally:
        network.load_state_dict(shared, strict=False)


def _norms(network: nn.Module) -> list[tuple[str, nn.BatchNorm2d]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
