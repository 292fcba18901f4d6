"""Zeros around an image are the convolution's own padding, unless something else needs them."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hwloop.exporter.tracing import trace
from hwloop.records import TensorSpec

IMAGE = TensorSpec("image", "float32", (1, 3, 8, 8))


class Padded(nn.Module):
    """Pads an image, and convolves it."""

    def __init__(self, pads, value=0.0, padding=0, read_twice=False):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, padding)
        self.pads, self.value, self.read_twice = pads, value, read_twice

    def forward(self, image):
        x = F.pad(image, self.pads, value=self.value)
        y = self.conv(x)
        return y + x.mean() if self.read_twice else y


def traced(network):
    """Return the operators and the convolution's padding, once the model is known to compute what the module does."""
    model = trace(network, [IMAGE], ["y"])
    image = np.random.default_rng(0).standard_normal(IMAGE.shape, dtype=np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": image})
    with torch.no_grad():
        np.testing.assert_allclose(found, network(torch.from_numpy(image)).numpy(), rtol=1e-4, atol=1e-5)
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    pads = next(list(attribute.ints) for attribute in conv.attribute if attribute.name == "pads")
    return [node.op_type for node in model.graph.node], pads


def test_zeros_around_the_image_are_folded():
    assert traced(Padded((0, 1, 2, 3))) == (["Conv"], [2, 0, 3, 1])


def test_they_are_added_to_the_convolutions_own():
    assert traced(Padded((0, 1, 0, 1), padding=1)) == (["Conv"], [1, 1, 2, 2])


@pytest.mark.parametrize(
    "network",
    [Padded((1, 1, 1, 1), value=1.0), Padded((1, 1, -1, 1)), Padded((1, 1, 1, 1), read_twice=True)],
    ids=["other than zeros", "cropping", "read by others"],
)
def test_what_a_convolution_cannot_do_stays_a_pad(network):
    operators, pads = traced(network)
    assert "Pad" in operators and pads == [0, 0, 0, 0]


def test_channels_of_zeros_stay_a_pad():
    network = Padded((0, 0, 0, 0, 0, 1))
    network.conv = nn.Conv2d(4, 4, 3)
    operators, _ = traced(network)
    assert operators == ["Pad", "Conv"]
