"""Vision Transformers: the contract of spaces, and what is special about them."""

import pytest

from hwloop.errors import UsageError
from hwloop.search.spaces.vit import LINEAR, POOLING, SOFTMAX, VIT_MINI, VIT_TINY, VitSizes, vit_choices
from hwloop.search.subnets import export_subnets
from hwloop.testing.space import SpaceContract


class TestVitMini(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return VIT_MINI


class TestVitTiny(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return VIT_TINY


def operators(choices):
    (subnet,) = export_subnets(VIT_MINI.supernet(), VIT_MINI.choices.arch(choices), VIT_MINI.setting())
    return {node.op_type for node in subnet.model.graph.node}


def test_each_mixer_is_what_it_says():
    whole = dict(VIT_MINI.choices.largest.choices)
    blocks = range(int(whole["depth"]))
    assert "Softmax" in operators({**whole, **{f"blocks.{block}.mixer": SOFTMAX for block in blocks}})
    linear = operators({**whole, **{f"blocks.{block}.mixer": LINEAR for block in blocks}})
    assert "Softmax" not in linear and "Relu" in linear
    assert "AveragePool" in operators({**whole, **{f"blocks.{block}.mixer": POOLING for block in blocks}})


def test_a_patch_that_does_not_divide_the_resolution_is_told_with_both():
    sizes = VitSizes((30, 28), (4, 7), (32,), (1,), (1,), (1.0,), head_width=32, channels=1, classes=10)
    with pytest.raises(UsageError, match=r"patch must divide the resolution \(resolution is 30, patch is 7\)"):
        vit_choices(sizes).arch(vit_choices(sizes).largest.choices | {"resolution": 30})


def test_a_pooling_block_has_no_heads():
    arch = VIT_MINI.choices.arch({**VIT_MINI.choices.largest.choices, "blocks.0.mixer": POOLING})
    assert "blocks.0.heads" not in arch.choices
