"""Encoders with elastic depth, heads and FFN: the contract of spaces, and what is special about them."""

import pytest
import torch

from hwloop.errors import UsageError
from hwloop.search.spaces.bert import BertSizes, bert_space, kept_layers
from hwloop.search.spaces.minilm import BERT_MINILM
from hwloop.search.subnets import export_subnets
from hwloop.testing.space import SpaceContract

SIZES = BertSizes.of(depth=4, heads=4, neurons=128, width=64, vocabulary=1000, positions=64)
SMALL = bert_space("bert-small", "tiny encoders", SIZES)


class TestBertSmall(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return SMALL


class TestBertMinilm(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return BERT_MINILM


def choices_of(depth, heads, ffn):
    layers = kept_layers(depth, 4)
    return SMALL.choices.arch(
        {"depth": depth, **{f"layers.{n}.heads": heads for n in layers}, **{f"layers.{n}.ffn": ffn for n in layers}}
    )


def test_a_shallower_network_keeps_layers_that_are_evenly_spaced():
    assert [kept_layers(depth, 6) for depth in (2, 3, 4, 6)] == [
        (0, 3),
        (0, 2, 4),
        (0, 1, 3, 4),
        (0, 1, 2, 3, 4, 5),
    ]


def test_a_layer_has_choices_only_where_it_is_kept():
    assert set(choices_of(2, 4, 128).choices) == {"depth"} | {
        f"layers.{layer}.{kind}" for layer in (0, 2) for kind in ("heads", "ffn")
    }
    with pytest.raises(UsageError, match=r"layers\.2\.heads is missing"):
        SMALL.choices.arch({"depth": 2, "layers.0.heads": 4, "layers.0.ffn": 128, "layers.2.ffn": 128})


def test_padding_changes_nothing():
    supernet = SMALL.supernet()
    tokens = torch.randint(1000, (3, 9), generator=torch.Generator().manual_seed(0))
    supernet.activate(choices_of(2, 3, 64))
    padded = torch.cat([tokens, torch.full((3, 7), 999)], dim=1)
    mask = torch.cat([torch.ones_like(tokens), torch.zeros(3, 7, dtype=torch.int64)], dim=1)
    torch.testing.assert_close(supernet(padded, mask), supernet(tokens))


def test_sizes_of_the_largest_network_give_the_values_of_each_choice():
    sizes = BertSizes.of(depth=6, heads=12, neurons=1536, width=384, vocabulary=30522)
    assert sizes.depths == (2, 3, 4, 6)
    assert sizes.heads == (3, 6, 9, 12)
    assert sizes.neurons == (384, 768, 1152, 1536)
    assert BERT_MINILM.choices.largest["layers.5.ffn"] == 1536


def test_a_length_beyond_the_positions_is_refused_with_their_number():
    with pytest.raises(UsageError, match="length 65 is more than the 64 positions"):
        export_subnets(SMALL.supernet(), SMALL.choices.smallest, SMALL.setting(length=65))
