"""What a task is: data in the form that a network's inputs have, a loss, and a metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hwloop.errors import UsageError
from hwloop.records import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Examples: an array for each input of a network, and labels; the first axis of each counts the examples.

    A label is IGNORED (`hwloop.search.tokens`) where there is nothing to learn: where a sentence has ended.
    """

    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, which: np.ndarray | slice) -> Split:
        """Return some of the examples, by their numbers."""
        return Split({name: values[which] for name, values in self.inputs.items()}, self.labels[which])

    def batches(self, size: int) -> Iterator[Split]:
        """Yield all examples in their order, `size` at a time; the last batch may be smaller."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))


@dataclass(frozen=True)
class Data:
    """A task's examples: those to train and to calibrate with, and those that networks are judged by."""

    train: Split
    eval: Split


class Task(Protocol):
    """What networks are trained for, and how they are judged."""

    @property
    def name(self) -> str:
        """The task's name."""

    @property
    def summary(self) -> str:
        """What it is, in half a sentence."""

    def data(self, inputs: Sequence[TensorSpec]) -> Data:
        """Return the examples in the form that a network takes: same names, types and, but for the first axis, shapes.

        The same every time. It is fetched once, if need be, and kept in hwloop's cache.

        Raises:
            UsageError: the task has nothing for such inputs.
            FetchError: the data could not be fetched.
        """

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of a batch, a scalar.

        Raises:
            UsageError: the outputs are not those of a network for this task.
        """

    def metric(self, outputs: np.ndarray, labels: np.ndarray) -> float:
        """Return how good answers are, between 0 and 1; higher is better.

        They are a network's outputs; of a network that writes (`Writer`), the tokens that it wrote [examples, steps].
        """


@dataclass(frozen=True)
class Classification:
    """A task with one of some classes for each example: cross entropy, and the share of right answers.

    `load` is the task's `data`; labels are whole numbers (int64) below `classes`.
    """

    name: str
    summary: str
    classes: int
    load: Callable[[Sequence[TensorSpec]], Data]

    def data(self, inputs: Sequence[TensorSpec]) -> Data:
        """Return the examples in the form that a network takes; `Task.data` says more."""
        return self.load(inputs)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the cross entropy of logits [batch, classes] with labels [batch].

        Raises:
            UsageError: the network has another number of classes.
        """
        from torch.nn import functional as F

        if outputs.shape[-1] != self.classes:
            raise UsageError(
                f"task {self.name} has {self.classes} classes, and the network {outputs.shape[-1]}",
                remedy="Use a space that was made for as many classes.",
            )
        return F.cross_entropy(outputs.float(), labels)

    def metric(self, outputs: np.ndarray, labels: np.ndarray) -> float:
        """Return the accuracy: the share of examples whose largest logit is that of the label."""
        return float((outputs.argmax(axis=-1) == labels).mean())


def first_input(task: str, inputs: Sequence[TensorSpec], *names: str) -> TensorSpec:
    """Return the first of a network's inputs, which must be those that the task has data for.

    Raises:
        UsageError: the network takes other inputs.
    """
    found = tuple(spec.name for spec in inputs)
    if found != names:
        raise UsageError(
            f"task {task} gives {', '.join(names)}, and the network takes {', '.join(found)}",
            remedy="Use a space for such inputs; `hwloop spaces list` shows them.",
        )
    return inputs[0]
