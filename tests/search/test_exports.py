"""Candidates become models: each layer in its scheme, calibrated once, the same every time."""

from random import Random

import numpy as np
import onnxruntime
import pytest
from torch import nn

from hwloop.errors import UsageError
from hwloop.exporter.quantize.verify import scheme_of
from hwloop.records import Candidate, QuantPolicy, Scheme, TensorSpec
from hwloop.search.costs import arch_costs, candidate_costs
from hwloop.search.exports import CandidateExporter, made_up
from hwloop.search.spaces.base import Part, Space
from hwloop.search.spaces.choices import Choice, Choices
from hwloop.search.spaces.vit import VIT_MINI
from hwloop.search.subnets import export_subnets

EVERY = [Scheme.FP32, Scheme.INT8_DYNAMIC, Scheme.INT8_STATIC, Scheme.INT4_WEIGHT]


@pytest.fixture(scope="module")
def exporter():
    return CandidateExporter(VIT_MINI, VIT_MINI.supernet(), VIT_MINI.setting())


def candidate(arch, **rules):
    return Candidate("vit-mini", arch, QuantPolicy({name.replace("__", "."): rule for name, rule in rules.items()}))


def run(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(made_up(model, 1)))[0]


def test_what_was_asked_is_in_the_graph(exporter):
    arch = VIT_MINI.choices.largest
    asked = candidate(arch, blocks__0="int8-static", blocks__1="int8-dynamic", blocks__2__up="int4-weight")
    (subnet,) = exporter.export(asked)
    found = scheme_of(subnet.model)
    assert found["blocks.0.attention.q"] is Scheme.INT8_STATIC
    assert found["blocks.1.down"] is Scheme.INT8_DYNAMIC
    assert found["blocks.2.up"] is Scheme.INT4_WEIGHT
    assert found["blocks.2.down"] is Scheme.FP32


@pytest.mark.parametrize("scheme", EVERY)
def test_a_quantized_candidate_computes_nearly_what_fp32_does(exporter, scheme):
    arch = VIT_MINI.choices.largest
    (plain,), (quantized,) = (
        exporter.export(Candidate("vit-mini", arch, policy)) for policy in (QuantPolicy(), QuantPolicy({"*": scheme}))
    )
    wanted, found = run(plain.model), run(quantized.model)
    assert np.abs(found - wanted).max() < 0.25 * np.abs(wanted).max()


def test_fewer_bits_make_smaller_files(exporter):
    sizes = [
        exporter.export(Candidate("vit-mini", VIT_MINI.choices.largest, QuantPolicy({"*": scheme})))[0].model.ByteSize()
        for scheme in (Scheme.INT4_WEIGHT, Scheme.INT8_DYNAMIC, Scheme.FP32)
    ]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2] / 3


class Pairs(nn.Module):
    """Two layers, each of one of three kinds that share no weights."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.ModuleDict({kind: nn.Linear(4, 4) for kind in "abc"}) for _ in range(2))

    def activate(self, arch):
        self.kinds = arch["first"], arch["second"]

    def forward(self, x):
        return self.second[self.kinds[1]](self.first[self.kinds[0]](x))

    def parts(self, setting):
        return (Part("", self.forward, (TensorSpec("x", "float32", (setting.batch, 4)),), ("y",)),)


PAIRS = Space("pairs", "for tests", Choices((Choice("first", tuple("abc")), Choice("second", tuple("abc")))), Pairs)


@pytest.mark.parametrize("space", [VIT_MINI, PAIRS], ids=lambda space: space.name)
def test_one_calibration_serves_every_candidate_and_what_came_before_changes_nothing(space):
    archs = [space.choices.largest, *(space.choices.sample(Random(seed)) for seed in range(8))]
    policy = QuantPolicy({"*": Scheme.INT8_STATIC})

    def files(order):
        exporter = CandidateExporter(space, space.supernet(), space.setting())
        return {
            arch: exporter.export(Candidate(space.name, arch, policy))[0].model.SerializeToString() for arch in order
        }

    together = files(archs)
    assert together == files(archs[::-1])
    assert together == {arch: file for one in archs for arch, file in files([one]).items()}


def test_calibration_takes_the_data_that_is_given():
    supernet, arch = VIT_MINI.supernet(), VIT_MINI.choices.largest
    images = {"image": np.full((1, 1, 28, 28), 9.0, np.float32)}
    asked = Candidate("vit-mini", arch, QuantPolicy({"*": Scheme.INT8_STATIC}))
    (given,), (made,) = (
        CandidateExporter(VIT_MINI, supernet, VIT_MINI.setting(), batches=batches).export(asked)
        for batches in ([images], [])
    )
    assert given.model.SerializeToString() != made.model.SerializeToString()


def test_a_layer_of_no_supernet_is_refused_and_one_of_a_larger_subnet_is_not(exporter):
    small = VIT_MINI.choices.smallest
    with pytest.raises(UsageError, match=r"no layer or block 'blocks\.9'"):
        exporter.export(candidate(small, blocks__9="int8-dynamic"))
    (subnet,) = exporter.export(candidate(small, blocks__4="int8-dynamic"))
    assert set(scheme_of(subnet.model).values()) == {Scheme.FP32}


def test_costs_are_those_of_the_graph_and_need_no_weights():
    arch, setting = VIT_MINI.choices.largest, VIT_MINI.setting()
    real = candidate_costs(export_subnets(VIT_MINI.supernet(), arch, setting))
    assert arch_costs(VIT_MINI.outline(), arch, setting) == real
    assert 0 < real.parameters * 4 <= real.weight_bytes
