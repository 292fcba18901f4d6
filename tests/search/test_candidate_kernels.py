"""What a policy asks for is what a candidate's kernels compute in, and it changes no work."""

from collections import Counter
from random import Random

import pytest

from hwloop.exporter.costs import costs_of
from hwloop.exporter.quantize.layers import layers_of
from hwloop.records import Candidate, KernelKind, QuantPolicy, Scheme
from hwloop.search.exports import CandidateExporter
from hwloop.search.sampling import sample_distinct
from hwloop.search.spaces.registry import load_space


@pytest.mark.parametrize("name", ["vit-mini", "hat-small", "resnet-mini", "mobile-mini"])
def test_every_layer_but_embeddings_is_a_product_in_its_scheme(name):
    space = load_space(name)
    exporter = CandidateExporter(space, space.supernet(0), space.setting(), seed=0)
    (arch,) = sample_distinct(space.choices, 1, Random(1))
    plain = exporter.export(Candidate(name, arch))
    for scheme in (Scheme.INT8_DYNAMIC, Scheme.INT8_STATIC, Scheme.INT4_WEIGHT):
        quantized = exporter.export(Candidate(name, arch, QuantPolicy({"*": scheme})))
        for before, after in zip(plain, quantized, strict=True):
            layers, costs, found = layers_of(before.model), costs_of(before.model, {}), costs_of(after.model, {})
            products = Counter(kernel.scheme for kernel in found.kernels if kernel.macs)
            assert products[scheme] == sum(not layer.is_table for layer in layers), (scheme, after.part)
            assert products.total() == products[scheme] + products[Scheme.FP32]
            assert (found.macs, found.parameters) == (costs.macs, costs.parameters)
            assert found.weight_bytes < costs.weight_bytes
            assert KernelKind.OTHER not in {kernel.kind for kernel in found.kernels}
