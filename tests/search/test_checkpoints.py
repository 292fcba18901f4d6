"""Checkpoints: what was saved comes back, and only into the space that it was saved from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from hwloop.errors import UsageError
from hwloop.search.checkpoints import load_checkpoint, save_checkpoint
from hwloop.search.spaces.bert import BertSizes, bert_space
from hwloop.search.spaces.vit import VIT_MINI
from hwloop.testing.translation import TINY_TRANSLATORS

SIZES = BertSizes.of(depth=2, heads=2, neurons=32, width=16, vocabulary=20, positions=8)
SPACE = bert_space("bert-test", "tiny encoders", SIZES)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, SPACE, SPACE.supernet(seed=1))
    return path


def test_what_was_saved_comes_back(saved):
    supernet, wanted = SPACE.supernet(seed=2), SPACE.supernet(seed=1).state_dict()
    assert not torch.equal(supernet.state_dict()["position"], wanted["position"])
    load_checkpoint(saved, SPACE, supernet)
    for name, value in supernet.state_dict().items():
        assert torch.equal(value, wanted[name])


def test_buffers_of_other_types_come_back_too(tmp_path):
    path = tmp_path / "vit.safetensors"
    save_checkpoint(path, VIT_MINI, VIT_MINI.supernet(seed=1))
    load_checkpoint(path, VIT_MINI, VIT_MINI.supernet())


def test_a_weight_of_several_names_is_saved_once_and_comes_back_under_each(tmp_path):
    path = tmp_path / "translators.safetensors"
    wanted = TINY_TRANSLATORS.supernet(seed=1)
    save_checkpoint(path, TINY_TRANSLATORS, wanted)
    table = "decoder.output.weight"
    assert sum(value.shape == wanted.state_dict()[table].shape for value in load_file(path).values()) == 1
    supernet = TINY_TRANSLATORS.supernet(seed=2)
    load_checkpoint(path, TINY_TRANSLATORS, supernet)
    assert supernet.encoder.embed.weight is supernet.decoder.output.weight
    for name, value in supernet.state_dict().items():
        assert torch.equal(value, wanted.state_dict()[name])


def test_nothing_but_the_checkpoint_is_left(saved):
    save_checkpoint(saved, SPACE, SPACE.supernet(seed=2))
    assert list(saved.parent.iterdir()) == [saved]


def test_another_space_is_refused_by_both_names(saved):
    with pytest.raises(UsageError, match="a checkpoint of the space bert-test, not of vit-mini"):
        load_checkpoint(saved, VIT_MINI, VIT_MINI.supernet())


def test_choices_that_were_not_trained_are_refused(saved):
    other = bert_space("bert-test", "", replace(SIZES, heads=(1, 2, 3)))
    with pytest.raises(UsageError, match=r"layers\.0\.heads was chosen from \[1, 2\], and here .* \[1, 2, 3\]"):
        load_checkpoint(saved, other, other.supernet())


def test_a_space_of_fewer_choices_takes_the_weights(saved):
    fewer = replace(SPACE, choices=SPACE.choices.restricted({"depth": (2,)}))
    load_checkpoint(saved, fewer, fewer.supernet())


def test_other_sizes_are_told_by_the_tensors_that_differ(saved):
    wider = bert_space("bert-test", "", replace(SIZES, vocabulary=30))
    with pytest.raises(UsageError, match=r"words\.weight: \[20, 16\] in the file, \[30, 16\] in the space"):
        load_checkpoint(saved, wider, wider.supernet())


def test_what_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(path, SPACE, SPACE.supernet())
    save_file({"x": np.zeros(1, np.float32)}, path)
    with pytest.raises(UsageError, match="no checkpoint of schema 1"):
        load_checkpoint(path, SPACE, SPACE.supernet())
    path.write_bytes(b"junk")
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(path, SPACE, SPACE.supernet())
