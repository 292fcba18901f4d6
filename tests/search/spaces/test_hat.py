"""Translators as HAT's: the contract of spaces, and what is special about them."""

from random import Random

import numpy as np
import onnxruntime
import pytest
import torch

from hwloop.errors import UsageError
from hwloop.search.spaces.hat import HAT_IWSLT, HAT_SMALL, HAT_WMT, PAD, hat_features
from hwloop.search.subnets import export_subnets
from hwloop.testing.space import SpaceContract

TOLERANCE = 1e-4


class TestHatSmall(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return HAT_SMALL


@pytest.fixture(scope="module")
def supernet():
    return HAT_SMALL.supernet(seed=0)


def changed(**choices):
    """The largest small translator, with some choices of its first decoder layer changed."""
    named = {f"decoder.layers.0.{name}": value for name, value in choices.items()}
    return HAT_SMALL.choices.arch({**HAT_SMALL.choices.largest.choices, **named})


def parts(supernet, arch, **sizes):
    supernet.activate(arch)
    encoder, step = supernet.parts(HAT_SMALL.setting(**sizes))
    return encoder, step, {spec.name: spec.shape for spec in step.inputs}


def words(random, *shape):
    return torch.from_numpy(random.integers(1, 8000, shape))


def largest_difference(found, wanted):
    return float((found - wanted).abs().max() / wanted.abs().max())


# ── the exported parts ──


@pytest.mark.parametrize("seed", range(3))
def test_decoding_with_the_exported_parts_gives_the_logits_of_training(supernet, seed):
    arch = HAT_SMALL.choices.sample(Random(seed))
    setting = HAT_SMALL.setting(batch=2, length=7, steps=5)
    encoder, step = (
        onnxruntime.InferenceSession(one.model.SerializeToString()) for one in export_subnets(supernet, arch, setting)
    )
    source = words(np.random.default_rng(seed), 2, 7)
    source[1, 4:] = PAD
    memory = dict(
        zip([value.name for value in encoder.get_outputs()], encoder.run(None, {"source": source.numpy()}), strict=True)
    )
    past = {spec.name: np.zeros(spec.shape, np.float32) for spec in step.get_inputs() if spec.name.startswith("past")}
    target = torch.ones((2, 1), dtype=torch.int64)
    for position in range(5):
        given = {"token": target[:, -1:].numpy(), "position": np.array([position]), **memory, **past}
        logits, *present = step.run(None, given)
        past = dict(zip(past, present, strict=True))
        with torch.no_grad():
            wanted = supernet(source, target)
        assert largest_difference(torch.from_numpy(logits[:, 0]), wanted[:, -1]) < TOLERANCE
        target = torch.cat([target, torch.from_numpy(logits).argmax(-1)], dim=1)


def test_a_step_counts_as_often_as_there_are_tokens_to_write(supernet):
    encoder, step, _ = parts(supernet, HAT_SMALL.choices.largest, steps=12)
    assert (encoder.repeats, step.repeats) == (1, 12)


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_a_layer_attends_to_the_tokens_of_as_many_encoder_layers_as_it_reaches(supernet, reach):
    _, _, shapes = parts(supernet, changed(reach=reach, cross_heads=2), length=11)
    assert shapes["memory_keys_0"] == (1, 2, 64, reach * 11)
    assert shapes["memory_values_0"] == (1, 2, reach * 11, 64)


def test_heads_share_the_inner_width_among_them(supernet):
    _, _, shapes = parts(supernet, changed(self_heads=4), steps=9)
    assert shapes["past_keys_0"] == (1, 4, 32, 9)


def test_a_translator_of_any_widths_and_batch_is_exported(supernet):
    for wide, narrow in (("encoder", "decoder"), ("decoder", "encoder")):
        whole = HAT_SMALL.choices.largest.choices
        arch = HAT_SMALL.choices.arch({**whole, f"{wide}.width": 256, f"{narrow}.width": 128})
        assert len(export_subnets(supernet, arch, HAT_SMALL.setting(batch=3, length=1, steps=1))) == 2


@pytest.mark.parametrize("size", ["length", "steps", "batch"])
def test_a_size_below_one_is_refused(size):
    with pytest.raises(UsageError, match=f"{size} 0 is below 1"):
        HAT_SMALL.setting(**{size: 0})


# ── what training sees ──


def test_no_token_sees_those_after_it(supernet):
    random = np.random.default_rng(0)
    supernet.activate(HAT_SMALL.choices.largest)
    source, target = words(random, 1, 6), words(random, 1, 5)
    other = target.clone()
    other[:, 3:] = PAD
    with torch.no_grad():
        one, two = supernet(source, target), supernet(source, other)
    assert largest_difference(one[:, :3], two[:, :3]) < 1e-6
    assert largest_difference(one[:, 3:], two[:, 3:]) > 1e-2


def test_padding_of_the_source_changes_nothing(supernet):
    random = np.random.default_rng(1)
    supernet.activate(HAT_SMALL.choices.largest)
    source, target = words(random, 1, 6), words(random, 1, 5)
    padded = torch.cat([source, torch.full((1, 4), PAD)], dim=1)
    with torch.no_grad():
        assert largest_difference(supernet(padded, target), supernet(source, target)) < 1e-5


def test_every_weight_of_the_largest_is_taught():
    supernet = HAT_SMALL.supernet(seed=0).train()
    random = np.random.default_rng(2)
    supernet(words(random, 2, 6), words(random, 2, 5)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in supernet.parameters())


def test_one_table_serves_source_target_and_output_only_where_the_vocabulary_is_shared():
    small, iwslt = HAT_SMALL.outline(), HAT_IWSLT.outline()
    assert small.encoder.embed.weight is small.decoder.embed.weight is small.decoder.output.weight
    assert iwslt.encoder.embed.weight.shape[0] == 8848
    assert iwslt.decoder.output.weight.shape[0] == 6632
    assert iwslt.decoder.embed.weight is not iwslt.decoder.output.weight


# ── what HAT says ──


def test_the_spaces_are_as_large_as_hats():
    for space, heads in ((HAT_WMT, (4, 8)), (HAT_IWSLT, (2, 4))):
        layers = 3 * len(heads)
        decoders = sum((layers * len(heads) * 3) ** depth for depth in range(1, 7))
        assert space.choices.count() == 2 * 2 * layers**6 * decoders
        assert space.choices["decoder.layers.5.cross_heads"].values == heads
        assert space.choices["decoder.width"].values == (512, 640)


def test_ten_features_describe_a_translator():
    arch = HAT_WMT.choices.largest
    mixed = HAT_WMT.choices.arch(
        {**arch.choices, "decoder.depth": 2, "decoder.layers.0.ffn": 1024, "decoder.layers.1.reach": 2}
    )
    assert list(hat_features(mixed).values()) == [640, 6, 3072, 8, 640, 2, 2048, 8, 8, 2.5]
