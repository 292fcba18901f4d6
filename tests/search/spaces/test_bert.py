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
