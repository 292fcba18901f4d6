"""Costs against numbers that were published, or counted by others."""

from pathlib import Path

import onnx
import pytest

from hwloop.exporter.costs import costs_of
from hwloop.records import Costs, KernelKind
from hwloop.testing.models import perceptron
from hwloop.testing.networks.bert import bert
from hwloop.testing.networks.efficientnet import efficientnet_lite
from hwloop.testing.networks.hat_encoder import hat_encoder
from hwloop.testing.networks.mobilenet import mobilenet
from hwloop.testing.networks.quantized import dynamic_int8, static_int8
from hwloop.testing.networks.resnet import resnet
from hwloop.testing.networks.suites import unseen
from hwloop.testing.networks.vit import vit

ATTENTION = (KernelKind.MATMUL, KernelKind.INTEGER_MATMUL)


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    """The costs of a network, by what writes it; each is written once."""
    folder, known = tmp_path_factory.mktemp("networks"), {}

    def costs(write):
        if write not in known:
            path = write(folder / f"{len(known)}.onnx")
            known[write] = costs_of(onnx.load(path), {}, path.stat().st_size)
        return known[write]

    return costs


def attention_macs(costs):
    return sum(kernel.macs for kernel in costs.kernels if kernel.kind in ATTENTION and kernel.shape["batch"] > 1)


def test_resnet_50_has_4_09_billion_macs(costs):
    """torchvision's card: 4.09 GFLOPS (which are MACs) and 25,557,032 parameters, 53,120 of them in the batch norms
    that are folded here, where 26,560 biases stand for them."""
    found = costs(resnet)
    assert found.macs == 4_089_184_256
    assert found.parameters == 25_557_032 - 53_120 + 26_560
    assert [kernel.kind.value for kernel in found.kernels].count("conv") == 53


def test_mobilenet_v2_has_300_million_macs(costs):
    """Sandler et al., CVPR 2018, table 4: 300 M MACs, 3.4 M parameters; torchvision's card: 0.3 GFLOPS."""
    found = costs(mobilenet)
    assert found.macs == 300_774_272
    assert found.parameters == pytest.approx(3.4e6, rel=0.03)


def test_vit_tiny_has_1_08_billion_macs_and_more_with_its_attention(costs):
    """timm: vit_tiny_patch16_224 has 5,717,416 parameters; 1.08 GMACs without the products of attention, 1.26 with."""
    found = costs(vit)
    assert found.parameters == 5_717_416
    assert found.macs == pytest.approx(1.26e9, rel=0.01)
    assert found.macs - attention_macs(found) == pytest.approx(1.08e9, rel=0.01)


def test_a_bert_of_six_layers_has_what_its_formula_says(costs):
    """Each layer: 12 · tokens · width² for the linear ones, 2 · tokens² · width for attention."""
    found, tokens, width = costs(bert), 128, 384
    assert found.macs == 6 * (12 * tokens * width**2 + 2 * tokens**2 * width)
    assert attention_macs(found) == 6 * 2 * tokens**2 * width


def test_quantizing_changes_bytes_and_no_macs(costs, tmp_path):
    def small(path):
        return vit(path, width=64, heads=2, depth=2, size=64)

    plain = costs(small)
    for quantize in (dynamic_int8, static_int8):
        path = quantize(small(tmp_path / "m.onnx"), tmp_path / "q.onnx")
        found = costs_of(onnx.load(path), {})
        assert (found.macs, found.parameters) == (plain.macs, plain.parameters)
        assert found.weight_bytes < plain.weight_bytes / 3
        assert found.file_bytes == path.stat().st_size
        schemes = {kernel.scheme for kernel in found.kernels if kernel.macs}
        assert f"int8-{quantize.__name__.removesuffix('_int8')}" in schemes


@pytest.mark.parametrize("write", [efficientnet_lite, hat_encoder], ids=["efficientnet", "hat"])
def test_every_family_of_networks_is_told_in_full(costs, write):
    found = costs(write)
    assert KernelKind.OTHER not in {kernel.kind for kernel in found.kernels}
    assert found.weight_bytes == pytest.approx(4 * found.parameters, rel=0.01)
    assert 0 < found.weight_bytes < found.file_bytes


@pytest.mark.parametrize("name", unseen())
def test_real_graphs_are_told_in_full(name, tmp_path):
    found = costs_of(onnx.load(unseen()[name](tmp_path / "m.onnx")), {})
    assert KernelKind.OTHER not in {kernel.kind for kernel in found.kernels}
    assert found.macs > 1e8


def test_a_real_resnet_50_has_the_parameters_of_its_batch_norms_too(tmp_path):
    found = costs_of(onnx.load(unseen()["light_resnet50"](tmp_path / "m.onnx")), {})
    assert (found.macs, found.parameters) == (4_089_184_256, 25_557_032)


def test_the_peak_is_where_most_is_alive(tmp_path):
    """Rows of 64, 128 and 32 numbers: the first kernel has its input and its output."""
    found = costs_of(onnx.load(perceptron(tmp_path / "m.onnx", (64, 128, 32), rows=8)), {})
    assert found.peak_activation_bytes == 4 * 8 * (64 + 128)


def test_external_data_counts_as_part_of_the_file(tmp_path):
    path = perceptron(Path(tmp_path / "m.onnx"))
    whole = costs_of(onnx.load(path), {})
    onnx.save(onnx.load(path), tmp_path / "o.onnx", save_as_external_data=True, size_threshold=0, location="o.data")
    outside = costs_of(onnx.load(tmp_path / "o.onnx", load_external_data=False), {})
    assert outside.kernels == whole.kernels
    assert outside.file_bytes >= whole.weight_bytes + (tmp_path / "o.onnx").stat().st_size


def test_costs_come_back_from_json(costs):
    found = costs(mobilenet)
    assert Costs.from_json(found.as_json()) == found
    assert found.as_json()["macs"] == found.macs
    assert found.moved_bytes == sum(kernel.bytes for kernel in found.kernels)
