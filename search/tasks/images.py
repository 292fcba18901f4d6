"""Images in the form that a network takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from hwloop.errors import UsageError
from hwloop.records import TensorSpec
from hwloop.search.tasks.base import first_input

CHUNK = 4096  # images that are resized at a time


def fitted(task: str, images: np.ndarray, inputs: Sequence[TensorSpec]) -> dict[str, np.ndarray]:
    """Return images [n, channels, side, side] float32 as a network's input, resized if it wants another side.

    Raises:
        UsageError: the network takes no images, or images of other channels.
    """
    spec = first_input(task, inputs, "image")
    if len(spec.shape) != 4 or spec.shape[1] != images.shape[1]:
        raise UsageError(
            f"task {task} has images of {images.shape[1]} channel(s), and the network takes {list(spec.shape)}",
            remedy="Use a space for such images.",
        )
    side = (int(spec.shape[2]), int(spec.shape[3]))
    if images.shape[2:] == side:
        return {"image": images}
    chunks = [torch.from_numpy(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
    resized = [F.interpolate(chunk, size=side, mode="bilinear", antialias=True).numpy() for chunk in chunks]
    return {"image": np.concatenate(resized)}
