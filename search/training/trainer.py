"""Steps of a training run. Each draws from a seed of its own, so that a run goes on exactly where it was stopped."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwloop.errors import UsageError
from hwloop.records import Arch
from hwloop.search.costs import arch_costs
from hwloop.search.spaces.base import Space, Supernet
from hwloop.search.subnets import module_of
from hwloop.search.tasks.base import Split, Task
from hwloop.search.tokens import IGNORED
from hwloop.search.training.recipe import Recipe
from hwloop.search.training.sampling import Plan, Sampler

CLIPPED_AT = 1.0  # the norm of a step's gradient
TAUGHT = 0.5  # the teacher's share of a student's loss, as Once-for-All's: a young teacher alone teaches nothing
COUNTED = 4096  # subnets whose operations are remembered
RESIDENT_BYTES = 4 << 30  # examples beyond this stay in the host's memory


@dataclass(frozen=True)
class Step:
    """What a step did: its number from 1, the learning rate, and the loss of each subnet, the teacher's first."""

    number: int
    learning_rate: float
    losses: tuple[float, ...]


class Trainer:
    """Trains a supernet step by step; the caller owns the loop.

    On a GPU it computes in bfloat16 where torch's autocast does; the weights stay in fp32.
    """

    def __init__(
        self, space: Space, supernet: Supernet, task: Task, examples: Split, recipe: Recipe, device: torch.device
    ) -> None:
        """Take all that a run needs, before its first step.

        Raises:
            UsageError: there are fewer examples than a batch has, or there is no such sampling.
        """
        if recipe.batch > len(examples):
            raise UsageError(
                f"a batch of {recipe.batch} is more than the {len(examples)} examples of task {task.name}",
                remedy=f"Use a batch of at most {len(examples)}.",
            )
        self.space, self.supernet, self.recipe, self.device = space, supernet, recipe, device
        self.network = module_of(supernet).to(device)
        self.step = 0  # how many are done
        self.previous: tuple[Arch, ...] = ()  # the students of the last one
        self.optimizer = torch.optim.AdamW(_groups(self.network, recipe.weight_decay), recipe.learning_rate)
        self._task = task
        self._examples = examples
        self._inputs, self._labels = self._tensors(examples)
        self._setting = space.setting(**recipe.sizes)
        self._sampler = Sampler(recipe.sampling, space.choices, recipe.subnets, lru_cache(COUNTED)(self._macs))
        self._order = lru_cache(1)(self._shuffled)

    def advance(self) -> Step:
        """Take one step.

        Raises:
            UsageError: a loss is no number any more, or the network is not one for the task.
        """
        random = Random(f"{self.recipe.seed} {self.step}")
        rate = self.recipe.learning_rate_at(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(random.getrandbits(63))
            plan = self._sampler.plan(random, self.previous)
            self.network.train()
            self.optimizer.zero_grad()
            losses = self._gradients(plan)
            if not all(map(math.isfinite, losses)):
                raise UsageError(f"training diverged at step {self.step + 1}", remedy="Use a lower learning rate.")
            nn.utils.clip_grad_norm_(self.network.parameters(), CLIPPED_AT)
            self.optimizer.step()
        self.step += 1
        self.previous = plan.students
        return Step(self.step, rate, losses)

    def _gradients(self, plan: Plan) -> tuple[float, ...]:
        """Add up the gradients of a step's subnets; return their losses."""
        inputs, labels = self._batch()
        losses, wanted = [], None
        counted = (labels != IGNORED).flatten().nonzero().squeeze(-1)  # once: a GPU would be waited for each time
        if plan.teacher is not None:
            outputs = self._forward(plan.teacher, inputs)
            losses.append(self._task.loss(outputs, labels))
            losses[-1].backward()  # type: ignore[no-untyped-call]
            wanted = F.softmax(_rows(outputs.detach(), counted), dim=-1)
        for arch in plan.students:
            outputs = self._forward(arch, inputs)
            loss = self._task.loss(outputs, labels)
            if wanted is not None:
                loss = (1 - TAUGHT) * loss + TAUGHT * F.cross_entropy(_rows(outputs, counted), wanted)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss)
        return tuple(float(loss.detach()) for loss in losses)

    def _forward(self, arch: Arch, inputs: dict[str, Tensor]) -> Tensor:
        self.supernet.activate(arch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            outputs: Tensor = self.network(**inputs)
        return outputs

    def _batch(self) -> tuple[dict[str, Tensor], Tensor]:
        """Return the step's inputs by name, and labels; an epoch shows each example once, but for an odd rest."""
        size = self.recipe.batch
        epoch, place = divmod(self.step, len(self._examples) // size)
        which = torch.from_numpy(self._order(epoch)[place * size : (place + 1) * size]).to(self._labels.device)
        inputs = {name: values[which].to(self.device) for name, values in self._inputs.items()}
        return inputs, self._labels[which].to(self.device)

    def _tensors(self, examples: Split) -> tuple[dict[str, Tensor], Tensor]:
        """Return all inputs and labels, where training computes if they fit there, else in the host's memory."""
        arrays = [*examples.inputs.values(), examples.labels]
        fits = sum(values.nbytes for values in arrays) <= RESIDENT_BYTES
        where = self.device if fits else torch.device("cpu")
        inputs = {name: torch.from_numpy(values).to(where) for name, values in examples.inputs.items()}
        return inputs, torch.from_numpy(examples.labels).to(where)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self._examples))

    def _macs(self, arch: Arch) -> float:
        return float(arch_costs(self._outline, arch, self._setting).macs)

    @cached_property
    def _outline(self) -> Supernet:
        return self.space.outline()


def _rows(logits: Tensor, counted: Tensor) -> Tensor:
    """Return some rows of logits [..., classes] as [rows, classes] in fp32."""
    return logits.flatten(0, -2)[counted].float()


def _groups(network: nn.Module, decay: float) -> list[dict[str, object]]:
    """Return the optimizer's groups: biases and norms, which have one axis, do not decay."""
    parameters = list(network.parameters())
    return [
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": decay},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    ]
