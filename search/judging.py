"""How good subnets are for a task, as torch computes them: a cheap proxy of `hwloop.search.evaluation`."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from hwloop.records import Arch
from hwloop.search.batch_norms import recalibrated
from hwloop.search.spaces.base import Supernet
from hwloop.search.subnets import module_of
from hwloop.search.tasks.base import Data, Split, Task

NORM_EXAMPLES = 1024
BATCH = 128


def sampled(split: Split, count: int, seed: int = 0) -> Split:
    """Return `count` examples, or all where there are fewer: the same ones for the same seed, in their order."""
    which = np.random.default_rng(seed).permutation(len(split))[:count]
    return split.take(np.sort(which))


def norm_batches(supernet: Supernet, examples: Split) -> list[Tensor]:
    """Return batches to take batch norms' statistics from, on the supernet's device; none if it has no batch norms."""
    network = module_of(supernet)
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return []
    batches = sampled(examples, NORM_EXAMPLES).batches(BATCH)
    return [_tensors(batch, network)[0] for batch in batches]


def subnet_outputs(supernet: Supernet, arch: Arch, data: Data) -> np.ndarray:
    """Return what a subnet answers to the examples for evaluation, [examples, ...] float32, in fp32.

    Its batch norms have statistics of its own, taken from examples to train with.
    """
    network = module_of(supernet)
    supernet.activate(arch)
    network.eval()
    batches = norm_batches(supernet, data.train)
    with recalibrated(network, batches) if batches else nullcontext(), torch.no_grad():
        found = [network(*_tensors(batch, network)) for batch in data.eval.batches(BATCH)]
    return torch.cat(found).float().cpu().numpy()


def subnet_accuracy(supernet: Supernet, arch: Arch, task: Task, data: Data) -> float:
    """Return the task's metric of a subnet on the examples for evaluation."""
    return task.metric(subnet_outputs(supernet, arch, data), data.eval.labels)


def loss_and_outputs(supernet: Supernet, task: Task, batch: Split) -> tuple[float, np.ndarray]:
    """Return the task's loss of the active subnet on a batch, and its outputs [examples, ...] float32."""
    network = module_of(supernet)
    with torch.no_grad():
        outputs = network(*_tensors(batch, network))
        loss = task.loss(outputs, torch.from_numpy(batch.labels).to(outputs.device))
    return float(loss), outputs.float().cpu().numpy()


def _tensors(batch: Split, network: nn.Module) -> list[Tensor]:
    device = next(network.parameters()).device
    return [torch.from_numpy(values).to(device) for values in batch.inputs.values()]
