"""A whole training run: from names to a checkpoint, a loss curve, and how good some subnets are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch

from hwloop.errors import UsageError
from hwloop.records import Arch, TensorSpec
from hwloop.search.checkpoints import save_checkpoint, supernet_with
from hwloop.search.judging import subnet_accuracy
from hwloop.search.sampling import sample_distinct
from hwloop.search.spaces.base import Setting, Space, Writer
from hwloop.search.spaces.registry import load_space
from hwloop.search.tasks.base import Data, Task
from hwloop.search.tasks.registry import load_task
from hwloop.search.training.curves import curve_path, cut_curve, write_steps
from hwloop.search.training.recipe import Recipe
from hwloop.search.training.state import load_state, save_state, state_path
from hwloop.search.training.trainer import Step, Trainer

SAVED_EVERY_S = 60.0
JUDGED = 4  # random subnets


@dataclass(frozen=True)
class Judged:
    """A subnet and its accuracy on the examples for evaluation."""

    name: str  # smallest, largest or random
    arch: Arch
    accuracy: float


class TrainingRun:
    """A run with its files: `checkpoint` holds weights for other commands, beside it are its state and losses."""

    def __init__(self, recipe: Recipe, checkpoint: Path, *, resume: bool = False) -> None:
        """Fetch the data and build the supernet, on a GPU if there is one.

        Raises:
            UsageError: names, sizes or weights do not fit, or there is no such run to resume.
            FetchError: data or weights could not be fetched.
        """
        space, self.task = load_space(recipe.space), load_task(recipe.task)
        self.checkpoint = checkpoint
        self.data: Data = self.task.data(inputs_of(space, space.setting(**recipe.sizes)))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        supernet = supernet_with(space, recipe.weights, recipe.seed)
        if isinstance(supernet, Writer):
            _require_words(supernet, self.task, self.data)
        self.trainer = Trainer(space, supernet, self.task, self.data.train, recipe, self.device)
        if resume:
            load_state(state_path(checkpoint), self.trainer)
        self._steps: list[Step] = []  # that are not in a file yet
        cut_curve(curve_path(checkpoint), self.trainer.step)

    @property
    def complete(self) -> bool:
        """Whether all steps are done."""
        return self.trainer.step >= self.trainer.recipe.steps

    def run(self, stopped: Callable[[], bool], done: Callable[[Step], None]) -> None:
        """Train until all steps are done, or until `stopped` says so between two steps; then save.

        Raises:
            UsageError: training diverged, or the network is not one for the task.
        """
        saved_s = time.monotonic()
        while not (self.complete or stopped()):
            step = self.trainer.advance()
            self._steps.append(step)
            done(step)
            if time.monotonic() - saved_s > SAVED_EVERY_S:
                self.save()
                saved_s = time.monotonic()
        self.save()

    def save(self) -> None:
        """Write the state, the weights and the losses, in an order in which a kill loses nothing but time."""
        save_state(state_path(self.checkpoint), self.trainer)
        save_checkpoint(self.checkpoint, self.trainer.space, self.trainer.supernet)
        write_steps(curve_path(self.checkpoint), self._steps)
        self._steps = []

    def judge(self) -> Iterator[Judged]:
        """Yield the accuracy of the smallest, the largest and `JUDGED` random subnets, one after the other."""
        trainer = self.trainer
        choices = trainer.space.choices
        drawn = sample_distinct(choices, JUDGED, Random(trainer.recipe.seed))
        named = [("smallest", choices.smallest), ("largest", choices.largest), *(("random", arch) for arch in drawn)]
        for name, arch in named:
            yield Judged(name, arch, subnet_accuracy(trainer.supernet, arch, self.task, self.data))


def use_threads(count: int) -> None:
    """Compute on this many threads of the CPU from now on."""
    torch.set_num_threads(count)


def inputs_of(space: Space, setting: Setting) -> tuple[TensorSpec, ...]:
    """Return what the largest network of a space takes in training.

    Raises:
        UsageError: its networks are exported in several parts and do not write: how they are trained is not known here.
    """
    outline = space.outline()
    outline.activate(space.choices.largest)
    if isinstance(outline, Writer):
        return outline.taught(setting)
    parts = outline.parts(setting)
    if len(parts) != 1:
        raise UsageError(
            f"networks of space {space.name} are made of {len(parts)} parts, and none of the tasks is for such",
            remedy="Use a space of encoders, of image networks or of translators.",
        )
    return parts[0].inputs


def _require_words(writer: Writer, task: Task, data: Data) -> None:
    for name, words in writer.words.items():
        highest = max(int(split.inputs[name].max()) for split in (data.train, data.eval))
        if highest >= words:
            raise UsageError(
                f"task {task.name} has {name} tokens up to {highest}, and the network knows {words}",
                remedy="Use a space that was made for as many tokens.",
            )
