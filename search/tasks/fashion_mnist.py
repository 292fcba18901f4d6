"""Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017): 70,000 grey images of clothes, 28 x 28, out of its Debian package."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hwloop.deadline import Deadline
from hwloop.debian_packages import from_debian
from hwloop.packages import PackageFiles, package_files
from hwloop.records import TensorSpec
from hwloop.search.tasks.base import Classification, Data, Split
from hwloop.search.tasks.images import fitted

FETCH_LIMIT_S = 600.0
FOLDER = "usr/share/datasets/fashion-mnist"
PACKAGE = PackageFiles(
    requirement="dataset-fashion-mnist",
    digests={
        f"{FOLDER}/train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        f"{FOLDER}/train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
        f"{FOLDER}/t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
        f"{FOLDER}/t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    },
    size_mb=31,
    licence="MIT",
)
MEAN, DEVIATION = 0.286, 0.353  # of the pixels to train with, scaled to 0 .. 1
IMAGES_HEAD, LABELS_HEAD = 16, 8  # bytes before the values of an IDX file
SIDE = 28


def load_fashion_mnist(inputs: Sequence[TensorSpec]) -> Data:
    """Return the 60,000 images to train with and the 10,000 to judge by, normalized, at the network's side.

    Raises:
        FetchError: the package could not be fetched.
    """
    fetched = package_files(
        PACKAGE, Deadline.after(FETCH_LIMIT_S), lambda words: print(words, file=sys.stderr), from_debian
    )
    return Data(_split(fetched, "train", inputs), _split(fetched, "t10k", inputs))


def _split(folder: Path, part: str, inputs: Sequence[TensorSpec]) -> Split:
    pixels = _values(folder / f"{part}-images-idx3-ubyte.gz", IMAGES_HEAD).reshape(-1, 1, SIDE, SIDE)
    labels = _values(folder / f"{part}-labels-idx1-ubyte.gz", LABELS_HEAD)
    images = (pixels.astype(np.float32) / 255 - MEAN) / DEVIATION
    return Split(fitted("fashion-mnist", images, inputs), labels.astype(np.int64))


def _values(path: Path, head: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=head)


FASHION_MNIST = Classification("fashion-mnist", "grey images of clothes, ten kinds, 28 x 28", 10, load_fashion_mnist)
