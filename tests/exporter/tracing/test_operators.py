"""Each of torch's functions that has an ONNX form computes the same in ONNX Runtime."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hwloop.errors import ModelError
from hwloop.exporter.tracing import trace
from hwloop.records import TensorSpec

WEIGHT = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
KERNEL = torch.randn(6, 2, 3, 3, generator=torch.Generator().manual_seed(1))
IMAGE, MATRIX = (2, 4, 6, 6), (2, 3, 4)

CASES = {
    "linear": (MATRIX, lambda x: F.linear(x, WEIGHT, torch.ones(6))),
    "linear without bias": (MATRIX, lambda x: F.linear(x, WEIGHT)),
    "conv2d": (IMAGE, lambda x: F.conv2d(x, KERNEL, None, 2, 1, 1, 2)),
    "dilated conv2d": (IMAGE, lambda x: F.conv2d(x, KERNEL, torch.ones(6), (1, 2), (2, 1), 2, 2)),
    "layer norm": (MATRIX, lambda x: F.layer_norm(x, (4,), torch.arange(4.0), torch.ones(4), 1e-3)),
    "layer norm without weights": (MATRIX, lambda x: F.layer_norm(x, (3, 4))),
    "attention": (MATRIX, lambda x: F.scaled_dot_product_attention(x, x, x + 1)),
    "attention with a mask": (MATRIX, lambda x: F.scaled_dot_product_attention(x, x, x, torch.eye(3))),
    "matmul": (MATRIX, lambda x: x @ x.transpose(1, 2)),
    "matmul of a constant": (MATRIX, lambda x: WEIGHT @ x.mT),
    "add": (MATRIX, lambda x: 1 + x + x.new_ones(4) + 2.5),
    "sub": (MATRIX, lambda x: (1 - x) - 2),
    "mul and div": (MATRIX, lambda x: 2 / (x * 3 / 4 + 9)),
    "pow": (MATRIX, lambda x: x**2 + torch.square(x)),
    "comparisons": (MATRIX, lambda x: torch.where((x > 0) & ~(x >= 1), x, -1.0)),
    "masked fill": (MATRIX, lambda x: x.masked_fill(x < 0, float("-inf")).softmax(-1)),
    "relu": (MATRIX, lambda x: F.relu(x) + torch.relu(x)),
    "relu6": (MATRIX, lambda x: F.relu6(x * 9)),
    "clamp": (MATRIX, lambda x: x.clamp(min=-0.5) + torch.clamp(x, -1, 1)),
    "gelu": (MATRIX, F.gelu),
    "gelu by tanh": (MATRIX, lambda x: F.gelu(x, approximate="tanh")),
    "silu": (MATRIX, F.silu),
    "elu": (MATRIX, F.elu),
    "hardswish": (MATRIX, lambda x: F.hardswish(x * 3) + F.hardsigmoid(x * 3)),
    "sigmoid and tanh": (MATRIX, lambda x: torch.sigmoid(x) + F.tanh(x)),
    "exp, log, sqrt": (MATRIX, lambda x: torch.log(torch.exp(x)) + torch.sqrt(x.abs()) + torch.rsqrt(x * x + 1)),
    "softmax": (MATRIX, lambda x: F.softmax(x, dim=1)),
    "cast": (MATRIX, lambda x: (x > 0).float() + x.to(torch.float32)),
    "reshape": (MATRIX, lambda x: x.reshape(2, 12).view(-1, 6).flatten().unflatten(0, (4, 6)).unsqueeze(1).squeeze(1)),
    "permute": (MATRIX, lambda x: x.permute(2, 0, 1) + x.permute((2, 0, 1)).transpose(0, 2).transpose(-1, 0)),
    "expand": ((1, 3, 4), lambda x: x.expand(5, -1, 4)),
    "cat and stack": (MATRIX, lambda x: torch.cat([torch.stack([x, x], 1), torch.zeros(2, 1, 3, 4)], dim=1)),
    "split": (MATRIX, lambda x: torch.cat(x.split([1, 3], dim=-1)[::-1], dim=-1) + torch.cat(x.chunk(2, -1), -1)),
    "unbind": (MATRIX, lambda x: x.unbind(1)[1]),
    "index": (MATRIX, lambda x: x[:, 0] + x[0, 1:2, :] + x[..., -1:, ::1][:, None, 0]),
    "negative index": (MATRIX, lambda x: x[-1, :, 1::2]),
    "mean and sum": (MATRIX, lambda x: x.mean() + x.mean(1) + x.sum(dim=1) + x.mean((1,), keepdim=True)[:, 0]),
    "amax": (MATRIX, lambda x: x.amax(dim=-1, keepdim=True)),
    "global pool": (IMAGE, lambda x: F.adaptive_avg_pool2d(x, 1)),
    "average pool": (IMAGE, lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    "max pool": (IMAGE, lambda x: F.max_pool2d(x, 2)),
    "pad": (IMAGE, lambda x: F.pad(x, (1, 2, 0, 1), value=3.0)),
}


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def run(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


@pytest.mark.parametrize("name", CASES)
def test_onnx_runtime_computes_the_same(name):
    shape, function = CASES[name]
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    model = trace(Function(function), [TensorSpec("x", "float32", shape)], ["y"])
    wanted = function(torch.from_numpy(x)).numpy()
    (found,) = run(model, x)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert found.shape == wanted.shape


def test_an_embedding_takes_whole_numbers():
    table = nn.Embedding(5, 3)
    model = trace(table, [TensorSpec("x", "int64", (2, 4))], ["y"])
    x = np.array([[0, 1, 2, 3], [4, 4, 0, 0]])
    np.testing.assert_array_equal(run(model, x)[0], table(torch.from_numpy(x)).detach().numpy())


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x: torch.fft.fft(x).real, "fft"),
        (lambda x: F.pad(x, (1, 1), mode="reflect"), "padding by reflect"),
        (lambda x: x[torch.tensor([0, 1])], "indexing by a tensor"),
        (lambda x: F.conv2d(x[None], torch.ones(1, 2, 3, 3), padding="same"), "padding 'same'"),
        (lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), "is_causal"),
        (lambda x: F.adaptive_avg_pool2d(x, 2), "adaptive pooling"),
    ],
)
def test_what_has_no_form_is_named_with_its_module(function, word):
    outer = nn.Sequential(nn.Identity(), Function(function))
    with pytest.raises(ModelError, match=word) as told:
        trace(outer, [TensorSpec("x", "float32", (2, 3, 4))], ["y"])
    assert str(told.value).startswith("1: ") and told.value.remedy
