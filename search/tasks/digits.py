"""Handwritten digits that come with scikit-learn: 1,797 grey images of 8 x 8. Small enough for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwloop.records import TensorSpec
from hwloop.search.tasks.base import Classification, Data, Split
from hwloop.search.tasks.images import fitted

FULL, MIDDLE = 16.0, 0.5  # the brightest pixel; what is taken off after scaling to 0 .. 1
JUDGED_EVERY = 5  # each fifth image is for evaluation


def load_digits(inputs: Sequence[TensorSpec]) -> Data:
    """Return the images, resized to the network's side, 1,437 to train with and 360 to judge by."""
    from sklearn import datasets

    found = datasets.load_digits()
    images = (found.images[:, None] / FULL - MIDDLE).astype(np.float32)
    every = Split(fitted("digits", images, inputs), found.target.astype(np.int64))
    judged = np.arange(len(every)) % JUDGED_EVERY == 0
    return Data(every.take(~judged), every.take(judged))


DIGITS = Classification("digits", "handwritten digits of 8 x 8 pixels, for a first try", 10, load_digits)
