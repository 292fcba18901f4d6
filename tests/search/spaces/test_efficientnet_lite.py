"""The mobile supernet with EfficientNet-Lite0's trained weights, against the network as its paper's table has it."""

import pytest
import torch
from torch.nn import functional as F

from hwloop.search.spaces.efficientnet_lite import lite0_file
from hwloop.search.spaces.mobile import MOBILE_EFFICIENTNET

# Tan and Le (2019), table 1: expansion, channels, blocks, stride, kernel; Lite has neither SE nor swish.
TABLE = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def lite0(weights, x):
    """Return EfficientNet-Lite0's logits, of the package's own weights by its own names."""

    def conv(x, name, stride=1, groups=1):
        weight = weights[f"{name}.weight"]
        kernel = weight.shape[-1]
        total = max((x.shape[-1] - 1) // stride * stride + kernel - x.shape[-1], 0)  # TensorFlow's "SAME"
        front, back = total // 2, total - total // 2
        return F.conv2d(F.pad(x, (front, back, front, back)), weight, stride=stride, groups=groups)

    def norm(x, name):
        mean, variance, scale, shift = (
            weights[f"{name}.{what}"].reshape(1, -1, 1, 1) for what in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(variance + 1e-3) * scale + shift

    x = norm(conv(x, "_conv_stem", 2), "_bn0").clamp(0, 6)
    number = 0
    for expansion, channels, repeats, first_stride, _ in TABLE:
        for repeat in range(repeats):
            block, stride, before = f"_blocks.{number}", 1 if repeat else first_stride, x
            if expansion > 1:
                x = norm(conv(x, f"{block}._expand_conv"), f"{block}._bn0").clamp(0, 6)
            x = norm(conv(x, f"{block}._depthwise_conv", stride, x.shape[1]), f"{block}._bn1").clamp(0, 6)
            x = norm(conv(x, f"{block}._project_conv"), f"{block}._bn2")
            assert x.shape[1] == channels
            x = x + before if repeat else x
            number += 1
    x = norm(conv(x, "_conv_head"), "_bn1").clamp(0, 6)
    return x.mean(dim=(2, 3)) @ weights["_fc.weight"].T + weights["_fc.bias"]


@pytest.mark.parametrize("resolution", [224, 160])
def test_the_full_size_subnet_computes_what_the_original_does(resolution):
    supernet = MOBILE_EFFICIENTNET.supernet()
    supernet.load_state_dict(MOBILE_EFFICIENTNET.pretrained())
    image = torch.rand(2, 3, resolution, resolution, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        found, wanted = supernet(image), lite0(torch.load(lite0_file(), weights_only=True), image)
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 1e-4
