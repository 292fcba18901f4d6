"""Residual networks: the contract of spaces, and what is special about them."""

from dataclasses import replace

import pytest

from hwloop.errors import UsageError
from hwloop.search.spaces.base import Setting
from hwloop.search.spaces.resnet import RESNET50, RESNET_MINI
from hwloop.search.subnets import export_subnets
from hwloop.testing.space import SpaceContract


class TestResnetMini(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return RESNET_MINI


class TestResnet50(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return replace(RESNET50, defaults=Setting(resolution=32))


def convolutions(changes, space=RESNET_MINI, resolution=None):
    """Return the weights' shape of each convolution of the largest subnet with changes, by its name."""
    arch = space.choices.arch({**space.choices.largest.choices, **changes})
    (subnet,) = export_subnets(space.outline(), arch, space.setting(resolution=resolution))
    shapes = {constant.name: tuple(constant.dims) for constant in subnet.model.graph.initializer}
    return {node.name: shapes[node.input[1]] for node in subnet.model.graph.node if node.op_type == "Conv"}


def test_the_full_size_is_once_for_alls():
    found = convolutions({}, RESNET50, resolution=64)
    assert found["stem.first.conv"] == (32, 3, 3, 3)
    assert found["stem.last.conv"] == (64, 32, 3, 3)
    assert found["stages.0.blocks.0.spatial.conv"] == (88, 88, 3, 3)
    assert found["stages.3.blocks.3.expand.conv"] == (2048, 720, 1, 1)
    assert len(found) == 3 + 3 * (4 + 4 + 6 + 4) + 4


def test_depth_leaves_out_the_last_blocks_of_a_stage():
    gone = set(convolutions({})) - set(convolutions({"stages.1.depth": 1}))
    assert gone == {
        f"stages.1.blocks.{block}.{layer}.conv" for block in (1, 2) for layer in ("reduce", "spatial", "expand")
    }


def test_the_stem_can_do_without_its_residual_convolution():
    assert set(convolutions({})) - set(convolutions({"stem.residual": False})) == {"stem.residual.conv"}


def test_a_width_is_that_of_every_block_in_the_stage_and_of_what_reads_it():
    found = convolutions({"stages.1.width": 0.75})
    assert [found[f"stages.1.blocks.{block}.expand.conv"][0] for block in range(3)] == [72, 72, 72]
    assert found["stages.1.blocks.0.shortcut.conv"][0] == found["stages.1.blocks.1.reduce.conv"][1] == 72
    assert found["stages.2.blocks.0.reduce.conv"][1] == found["stages.2.blocks.0.shortcut.conv"][1] == 72


def test_an_expansion_is_a_part_of_the_width_in_multiples_of_eight():
    found = convolutions({"stages.2.blocks.1.expansion": 0.25, "stages.2.width": 0.75})
    assert found["stages.2.blocks.1.spatial.conv"] == (24, 24, 3, 3)


def test_the_image_shrinks_by_averaging_on_the_way_around():
    (subnet,) = export_subnets(RESNET_MINI.outline(), RESNET_MINI.choices.largest, RESNET_MINI.setting())
    assert [node.op_type for node in subnet.model.graph.node].count("AveragePool") == 2


@pytest.mark.parametrize(("space", "stride"), [(RESNET50, 32), (RESNET_MINI, 4)])
def test_a_resolution_that_the_strides_do_not_divide_is_refused_with_those_around_it(space, stride):
    with pytest.raises(UsageError, match=f"resolution {5 * stride - 1} is no multiple of {stride}") as caught:
        space.outline().parts(space.setting(resolution=5 * stride - 1))
    assert caught.value.remedy == f"Give {4 * stride} or {5 * stride}."


def test_images_of_eight_by_eight_fit_the_small_space():
    (part,) = RESNET_MINI.outline().parts(RESNET_MINI.setting(resolution=8))
    assert part.inputs[0].shape == (1, 1, 8, 8)
