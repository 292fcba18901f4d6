"""Genomes of spaces: groups of layers, when they are there, and what runtimes can run."""

from random import Random

import pytest

from hwloop.errors import UsageError
from hwloop.exporter.quantize.layers import layers_of
from hwloop.exporter.quantize.support import support_failure
from hwloop.exporter.quantize.verify import scheme_of
from hwloop.records import Candidate, QuantPolicy, Scheme
from hwloop.search.exports import CandidateExporter
from hwloop.search.quantizable import genome_of
from hwloop.search.spaces.bert import BertSizes, bert_space
from hwloop.search.spaces.resnet import ResnetSizes, StageSizes, resnet_space
from hwloop.search.spaces.vit import VitSizes, vit_space
from hwloop.search.subnets import export_subnets

RESNET = resnet_space(
    "tiny-resnet",
    "residual networks for tests",
    ResnetSizes((StageSizes(16, (1, 2)),), 16, 1, (0.5, 1.0), (0.5, 1.0), channels=1, classes=10),
    8,
)
VIT = vit_space(
    "tiny-vit",
    "transformers for tests",
    VitSizes((8,), (4, 2), (32, 64), (1, 2), (1, 2), (1.0, 2.0), head_width=32, channels=1, classes=10),
)
INT4 = Scheme.INT4_WEIGHT


@pytest.mark.parametrize("space", [RESNET, VIT], ids=lambda space: space.name)
@pytest.mark.parametrize("granularity", ["block", "layer", "model"])
@pytest.mark.parametrize("runtime", ["onnxruntime", "tvm"])
def test_every_candidate_runs_as_it_was_asked(space, granularity, runtime):
    genome = genome_of(space, [runtime], granularity)
    exporter = CandidateExporter(space, space.supernet(), space.setting())
    random = Random(0)
    for _ in range(4):
        (subnet,) = exporter.export(genome.sample(random))
        assert support_failure(runtime, subnet.model) is None


@pytest.mark.parametrize("space", [RESNET, VIT], ids=lambda space: space.name)
def test_a_group_has_a_scheme_exactly_where_its_layers_are(space):
    genome = genome_of(space, ["onnxruntime"], "layer", [Scheme.INT8_STATIC])
    outline, random = space.outline(), Random(1)
    for _ in range(12):
        arch = space.choices.sample(random)
        layers = {
            layer.name for one in export_subnets(outline, arch, space.setting()) for layer in layers_of(one.model)
        }
        assert set(genome.uniform(arch, Scheme.INT8_STATIC).policy.rules) == layers


def test_four_bits_are_for_products_under_onnx_runtime_and_for_nothing_under_tvm():
    genome = genome_of(VIT, ["onnxruntime"])
    assert INT4 in genome.schemes["blocks.0"] and INT4 not in genome.schemes["embed.2"]
    for runtimes in (["tvm"], ["onnxruntime", "tvm"]):
        assert not any(INT4 in schemes for schemes in genome_of(VIT, runtimes).schemes.values())
    assert not any(
        INT4 in schemes for group, schemes in genome_of(RESNET, ["onnxruntime"]).schemes.items() if group != "head"
    )


def test_embeddings_have_a_scheme_of_their_own():
    bert = bert_space("tiny-bert", "encoders for tests", BertSizes.of(2, 2, 64, 32, vocabulary=99))
    genome = genome_of(bert, ["onnxruntime"])
    assert genome.schemes["words"] == genome_of(bert, ["onnxruntime", "tvm"]).schemes["words"] == tuple(Scheme)
    assert INT4 not in genome_of(bert, ["tvm"]).schemes["head"]
    exporter = CandidateExporter(bert, bert.supernet(), bert.setting())
    for scheme in Scheme:
        (subnet,) = exporter.export(Candidate("tiny-bert", bert.choices.largest, QuantPolicy({"words": scheme})))
        assert scheme_of(subnet.model)["words"] is scheme


def test_the_whole_model_has_what_all_of_its_layers_can_run():
    assert genome_of(VIT, ["onnxruntime"], "model").schemes == {
        "*": (Scheme.FP32, Scheme.INT8_DYNAMIC, Scheme.INT8_STATIC)
    }


def test_layers_of_restricted_choices_alone_are_told():
    from dataclasses import replace

    narrow = replace(VIT, choices=VIT.choices.restricted({"patch": [4], "depth": [1]}))
    assert set(genome_of(narrow, ["onnxruntime"]).schemes) == {"embed.4", "blocks.0", "head"}


def test_without_schemes_it_is_the_architecture_alone():
    genome = genome_of(VIT, ["onnxruntime"], schemes=[Scheme.FP32])
    assert genome.sample(Random(3)) == Candidate("tiny-vit", VIT.choices.sample(Random(3)))


def test_an_unknown_granularity_is_refused():
    with pytest.raises(UsageError, match="no granularity 'tensor'"):
        genome_of(VIT, ["onnxruntime"], "tensor")
