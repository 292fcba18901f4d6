"""Residual networks: the contract of spaces, and what is special about them."""

from dataclasses import replace
from itertools import combinations

import pytest

from hwloop.errors import UsageError
from hwloop.search.spaces.resnet import OFA_RESNET50, RESNET50, RESNET_MINI, resnet_space
from hwloop.search.subnets import export_subnets
from hwloop.testing.space import SpaceContract


class TestResnetMini(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return RESNET_MINI


class TestNarrowResnet50(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        narrow = tuple(replace(stage, width=stage.width // 4) for stage in OFA_RESNET50.stages)
        return resnet_space("narrow", "as ResNet-50", replace(OFA_RESNET50, stages=narrow), 64)


MINI = RESNET_MINI.outline()


def convolutions(changes, space=RESNET_MINI, outline=MINI, resolution=None):
    """Return the weights' shape of each convolution of the largest subnet with changes, by its name."""
    arch = space.choices.arch({**space.choices.largest.choices, **changes})
    (subnet,) = export_subnets(outline, arch, space.setting(resolution=resolution))
    shapes = {constant.name: tuple(constant.dims) for constant in subnet.model.graph.initializer}
    return {node.name: shapes[node.input[1]] for node in subnet.model.graph.node if node.op_type == "Conv"}


def test_the_full_size_is_once_for_alls():
    found = convolutions({}, RESNET50, RESNET50.outline(), resolution=64)
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
    assert [found[f"stages.1.blocks.{block}.expand.conv"][0] for block in range(3)] == [48, 48, 48]
    assert found["stages.1.blocks.0.shortcut.conv"][0] == found["stages.1.blocks.1.reduce.conv"][1] == 48
    assert found["stages.2.blocks.0.reduce.conv"][1] == found["stages.2.blocks.0.shortcut.conv"][1] == 48


def test_an_expansion_is_a_part_of_the_width_in_multiples_of_eight():
    found = convolutions({"stages.2.blocks.1.expansion": 0.25, "stages.2.width": 0.75})
    assert found["stages.2.blocks.1.spatial.conv"] == (24, 24, 3, 3)  # 72 / 4 = 18, and 16 is below 90 % of that


def test_each_value_of_each_choice_is_a_network_of_its_own():
    for choice in RESNET_MINI.choices:
        found = [convolutions({choice.name: value}) for value in choice.values]
        assert all(one != other for one, other in combinations(found, 2)), choice.name


def test_the_image_shrinks_by_averaging_on_the_way_around():
    (subnet,) = export_subnets(MINI, RESNET_MINI.choices.largest, RESNET_MINI.setting())
    assert [node.op_type for node in subnet.model.graph.node].count("AveragePool") == 1


@pytest.mark.parametrize(("space", "stride"), [(RESNET50, 32), (RESNET_MINI, 4)])
def test_a_resolution_that_the_strides_do_not_divide_is_refused_with_those_around_it(space, stride):
    with pytest.raises(UsageError, match=f"resolution {5 * stride - 1} is no multiple of {stride}") as caught:
        space.outline().parts(space.setting(resolution=5 * stride - 1))
    assert caught.value.remedy == f"Give {4 * stride} or {5 * stride}."


def test_images_of_eight_by_eight_fit_the_small_space():
    (part,) = MINI.parts(RESNET_MINI.setting(resolution=8))
    assert part.inputs[0].shape == (1, 1, 8, 8)
