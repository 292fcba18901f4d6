"""Tasks of translation: teacher forcing with smoothed labels, and BLEU of what is written token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from hwloop.errors import UsageError
from hwloop.records import TensorSpec
from hwloop.search.tasks.base import Data, Split, first_input
from hwloop.search.tokens import END, IGNORED, PAD, START

if TYPE_CHECKING:
    from torch import Tensor

SMOOTHING = 0.1  # of the labels (Szegedy et al., CVPR 2016), as much as Vaswani et al. (2017)


@dataclass(frozen=True)
class Sentences:
    """Sentences in tokens: `tokens` [all of them] one after the other, `lengths` [sentences] how many each has."""

    tokens: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Sentences:
        """Return sentences out of their tokens."""
        lengths = np.array([len(row) for row in rows], np.int64)
        return cls(np.fromiter(chain.from_iterable(rows), np.int64, lengths.sum()), lengths)

    def take(self, which: np.ndarray) -> Sentences:
        """Return those sentences for which `which` [sentences] is true."""
        return Sentences(self.tokens[np.repeat(which, self.lengths)], self.lengths[which])

    def ended(self, width: int, filling: int) -> np.ndarray:
        """Return rows [sentences, width] int64, each with END after its tokens; all must be shorter than `width`."""
        rows = np.full((len(self.lengths), width), filling, np.int64)
        rows[np.arange(width) < self.lengths[:, None]] = self.tokens
        rows[np.arange(len(rows)), self.lengths] = END
        return rows


@dataclass(frozen=True)
class Translation:
    """A task whose answers are sentences: cross entropy of each next token, and BLEU.

    `load` is the task's `data`, as `translation_split` makes it; `decode` returns the texts of rows of tokens, without
    what starts, ends and fills them up. `vocabulary` is how many tokens there are, in both languages together.
    """

    name: str
    summary: str
    vocabulary: int
    load: Callable[[Sequence[TensorSpec]], Data]
    decode: Callable[[np.ndarray], list[str]]

    def data(self, inputs: Sequence[TensorSpec]) -> Data:
        """Return the examples in the form that a network takes; `Task.data` says more."""
        return self.load(inputs)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the cross entropy of logits [batch, steps, words] with smoothed labels [batch, steps].

        Raises:
            UsageError: the network writes with another number of words.
        """
        from torch.nn import functional as F

        if outputs.shape[-1] != self.vocabulary:
            raise UsageError(
                f"task {self.name} has {self.vocabulary} tokens, and the network {outputs.shape[-1]}",
                remedy="Use a space that was made for as many tokens.",
            )
        logits = outputs.float().flatten(0, 1)
        return F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORED, label_smoothing=SMOOTHING)

    def metric(self, outputs: np.ndarray, labels: np.ndarray) -> float:
        """Return BLEU (Papineni et al., ACL 2002) between 0 and 1, as sacrebleu computes it by default.

        `outputs` are the tokens that a network wrote [examples, steps], `labels` those of the reference.
        """
        import sacrebleu

        wanted = self.decode(np.where(labels == IGNORED, PAD, labels))
        return min(sacrebleu.corpus_bleu(self.decode(outputs), [wanted]).score / 100, 1.0)


def translation_split(task: str, inputs: Sequence[TensorSpec], sources: Sentences, targets: Sentences) -> Split:
    """Return pairs of sentences as examples; those that do not fit a network's length and steps are left out.

    A source ends with END; a target starts with START, and its labels, one step on, end with END. Both are filled up
    with PAD, the labels with IGNORED.

    Raises:
        UsageError: the network takes other inputs than a source and a target.
    """
    length = int(first_input(task, inputs, "source", "target").shape[1])
    steps = int(inputs[1].shape[1])
    fitting = (sources.lengths < length) & (targets.lengths < steps)
    labels = targets.take(fitting).ended(steps, IGNORED)
    target = np.roll(labels, 1, axis=1)
    target[:, 0] = START
    target[(target == END) | (target == IGNORED)] = PAD
    return Split({"source": sources.take(fitting).ended(length, PAD), "target": target}, labels)
