"""How good subnets are for a task, as torch computes them: a cheap proxy of `hwloop.search.evaluation`."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from hwloop.records import Arch
from hwloop.search.batch_norms import recalibrated
from hwloop.search.spaces.base import Supernet, Writer
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
    return [next(iter(_tensors(batch, network).values())) for batch in batches]


def subnet_outputs(supernet: Supernet, arch: Arch, data: Data) -> np.ndarray:
    """Return what a subnet answers to the examples for evaluation, computed in fp32.

    That is logits [examples, ...] float32, or the tokens that it writes by itself [examples, steps] int64. Its batch
    norms have statistics of its own, taken from examples to train with.
    """
    network = module_of(supernet)
    supernet.activate(arch)
    network.eval()
    batches = norm_batches(supernet, data.train)
    with recalibrated(network, batches) if batches else nullcontext(), torch.no_grad():
        found = [_answers(network, batch) for batch in data.eval.batches(BATCH)]
    return np.concatenate(found)


def subnet_accuracy(supernet: Supernet, arch: Arch, task: Task, data: Data) -> float:
    """Return the task's metric of a subnet on the examples for evaluation."""
    return task.metric(subnet_outputs(supernet, arch, data), data.eval.labels)


def loss_and_answers(supernet: Supernet, task: Task, batch: Split) -> tuple[float, np.ndarray]:
    """Return the task's loss of the active subnet on a batch, and what it answers, as `subnet_outputs` does."""
    network = module_of(supernet)
    with torch.no_grad():
        outputs = network(**_tensors(batch, network))
        loss = task.loss(outputs, torch.from_numpy(batch.labels).to(outputs.device))
        return float(loss), _answers(network, batch)


def _answers(network: nn.Module, batch: Split) -> np.ndarray:
    inputs = _tensors(batch, network)
    if isinstance(network, Writer):
        return network.write(inputs["source"], batch.labels.shape[1]).cpu().numpy()
    outputs: Tensor = network(**inputs)
    return outputs.float().cpu().numpy()


def _tensors(batch: Split, network: nn.Module) -> dict[str, Tensor]:
    device = next(network.parameters()).device
    return {name: torch.from_numpy(values).to(device) for name, values in batch.inputs.items()}
