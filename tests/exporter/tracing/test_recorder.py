"""The graph that comes of a module: its names, its constants, and nothing that is not needed."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hwloop.errors import ModelError
from hwloop.exporter.tracing import trace
from hwloop.records import TensorSpec

IMAGE = TensorSpec("image", "float32", (1, 3, 8, 8))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Linear(4, 2)
        self.position = nn.Parameter(torch.randn(4, 8, 8))

    def forward(self, image):
        x = F.relu(self.norm(self.conv(image)))
        x.abs()  # of no use
        x = x + F.interpolate(self.position[None], size=(6, 6), mode="bilinear")
        return self.head(x.mean((2, 3)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = Network().eval()
    with torch.no_grad():
        network.norm.running_mean.uniform_(-1, 1)
        network.norm.running_var.uniform_(0.5, 2)
        network.norm.weight.uniform_(0.5, 2)
    return network


def run(model, image):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})


def test_layers_and_their_weights_have_the_modules_names(network):
    network.forward = lambda image: network.head(F.relu(network.norm(network.conv(image))).mean((2, 3)))
    graph = trace(network, [IMAGE], ["logits"]).graph
    assert [node.name for node in graph.node if node.op_type in ("Conv", "MatMul")] == ["conv", "head"]
    assert {"conv.weight", "head.weight", "head.bias"} <= {constant.name for constant in graph.initializer}
    assert [value.name for value in graph.output] == ["logits"]


def test_a_batch_norm_goes_into_the_convolution(network):
    network.forward = lambda image: network.norm(network.conv(image))
    model = trace(network, [IMAGE], ["y"])
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    image = np.random.default_rng(0).standard_normal(IMAGE.shape, dtype=np.float32)
    with torch.no_grad():
        wanted = network.norm(network.conv(torch.from_numpy(image))).numpy()
    np.testing.assert_allclose(run(model, image)[0], wanted, atol=1e-5)


def test_a_batch_norm_stays_where_the_convolution_is_read_elsewhere(network):
    def forward(image):
        x = network.conv(image)
        return network.norm(x) + x

    network.forward = forward
    assert "BatchNormalization" in [node.op_type for node in trace(network, [IMAGE], ["y"]).graph.node]


def test_what_depends_on_no_input_is_computed_once(network):
    def forward(image):
        return image[:, :, :6, :6].mean(1) + F.interpolate(network.position[None], size=(6, 6), mode="bilinear")[0]

    network.forward = forward
    model = trace(network, [IMAGE], ["y"])
    assert "Resize" not in [node.op_type for node in model.graph.node]
    assert [constant.dims for constant in model.graph.initializer if len(constant.dims) == 3] == [[4, 6, 6]]


def test_a_call_without_use_leaves_no_node(network):
    def forward(image):
        image.abs()
        return F.relu(image)

    network.forward = forward
    assert [node.op_type for node in trace(network, [IMAGE], ["y"]).graph.node] == ["Relu"]


def test_tracing_leaves_the_module_as_it_was(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.forward = lambda image: network.norm(network.conv(image))
    first, second = (trace(network, [IMAGE], ["y"]).SerializeToString() for _ in range(2))
    assert first == second
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network(torch.zeros(1, 3, 8, 8)).device.type == "cpu"


def test_an_input_that_is_an_output_is_handed_through():
    model = trace(nn.Identity(), [IMAGE], ["y"])
    onnx.checker.check_model(model, full_check=True)
    image = np.ones(IMAGE.shape, np.float32)
    np.testing.assert_array_equal(run(model, image)[0], image)


def test_outputs_that_are_not_named_are_refused(network):
    network.forward = lambda image: (image, image + 1)
    with pytest.raises(ModelError, match="returns 2 values, and 1 outputs are named"):
        trace(network, [IMAGE], ["y"])
    network.forward = lambda image: {"y": image}
    with pytest.raises(ModelError, match="is no tensor"):
        trace(network, [IMAGE], ["y"])
