"""Mobile networks: the contract of spaces, and what is special about them."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hwloop.errors import UsageError
from hwloop.search.spaces.base import Setting
from hwloop.search.spaces.mobile import MOBILE_EFFICIENTNET, MOBILE_MINI
from hwloop.search.subnets import export_subnets
from hwloop.testing.space import SpaceContract


class TestMobileMini(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return MOBILE_MINI


class TestMobileEfficientnet(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return replace(MOBILE_EFFICIENTNET, defaults=Setting(resolution=32))


def graph_of(changes, space=MOBILE_MINI):
    arch = space.choices.arch({**space.choices.largest.choices, **changes})
    (subnet,) = export_subnets(space.outline(), arch, space.setting())
    return subnet.model.graph


def convolutions(changes, space=MOBILE_MINI):
    """Return the weights' shape of each convolution of the largest subnet with changes, by its name."""
    graph = graph_of(changes, space)
    shapes = {constant.name: tuple(constant.dims) for constant in graph.initializer}
    return {node.name: shapes[node.input[1]] for node in graph.node if node.op_type == "Conv"}


def trained_mini():
    """Return a supernet whose batch norms are as varied as after a training."""
    supernet = MOBILE_MINI.supernet()
    generator = torch.Generator().manual_seed(1)
    for norm in (module for module in supernet.modules() if isinstance(module, nn.BatchNorm2d)):
        for values, low, high in ((norm.weight, 0.5, 2), (norm.running_var, 0.5, 2), (norm.running_mean, -1, 1)):
            values.data.uniform_(low, high, generator=generator)
        norm.bias.data.uniform_(-1, 1, generator=generator)
    return supernet


def run(supernet, image):
    with torch.no_grad():
        return supernet(image)


def test_the_full_size_is_efficientnet_lite0s():
    found = convolutions({}, MOBILE_EFFICIENTNET)
    assert len(found) == 1 + 2 + 3 * 15 + 1
    assert found["stages.2.blocks.1.spatial.conv"] == (240, 1, 5, 5)
    assert found["stages.5.blocks.3.expand.conv"] == (1152, 192, 1, 1)
    assert found["last.conv"] == (1280, 320, 1, 1)


def test_depth_leaves_out_the_last_blocks_of_a_stage():
    gone = set(convolutions({})) - set(convolutions({"stages.1.depth": 1}))
    assert gone == {
        f"stages.1.blocks.{block}.{layer}.conv" for block in (1, 2) for layer in ("expand", "spatial", "project")
    }


def test_an_expansion_is_a_multiple_of_what_comes_in():
    found = convolutions({"stages.2.blocks.1.expansion": 3})
    assert found["stages.2.blocks.1.expand.conv"] == (120, 40, 1, 1)
    assert found["stages.2.blocks.1.spatial.conv"] == (120, 1, 5, 5)
    assert found["stages.2.blocks.1.project.conv"] == (40, 120, 1, 1)


def test_the_head_is_narrowed_with_the_classifier():
    graph = graph_of({"head.width": 64})
    shapes = {constant.name: tuple(constant.dims) for constant in graph.initializer}
    assert shapes["last.conv.weight"] == (64, 40, 1, 1)
    assert shapes["head.weight"] == (64, 10)


def test_a_small_kernel_is_the_middle_of_the_large_one_and_looks_at_the_same_places():
    supernet = trained_mini()
    weight = supernet.stages[1].blocks[0].spatial.conv.weight.data
    weight[:, :, (0, 4)] = 0
    weight[:, :, :, (0, 4)] = 0
    image = torch.rand(1, 1, 28, 28)
    large, small = (
        MOBILE_MINI.choices.arch({**MOBILE_MINI.choices.largest.choices, "stages.1.blocks.0.kernel": kernel})
        for kernel in (5, 3)
    )
    supernet.activate(large)
    wanted = run(supernet, image)
    supernet.activate(small)
    assert torch.allclose(run(supernet, image), wanted, rtol=1e-4, atol=1e-5)


def test_images_are_padded_by_the_convolutions_less_in_front():
    graph = graph_of({})
    assert "Pad" not in {node.op_type for node in graph.node}
    pads = {
        node.name: next(list(attribute.ints) for attribute in node.attribute if attribute.name == "pads")
        for node in graph.node
        if node.op_type == "Conv"
    }
    assert pads["stages.1.blocks.0.spatial.conv"] == [1, 1, 2, 2]
    assert pads["stages.1.blocks.1.spatial.conv"] == [2, 2, 2, 2]


class TestOrderingChannels:
    def test_leaves_the_function_as_it_was(self):
        supernet = trained_mini()
        image = torch.rand(2, 1, 28, 28)
        before = run(supernet, image)
        supernet.order_channels()
        assert torch.allclose(run(supernet, image), before, rtol=1e-4, atol=1e-5)

    def test_puts_those_first_whose_readers_have_the_largest_weights(self):
        supernet = trained_mini()
        supernet.order_channels()
        for stage in supernet.stages[1:]:
            for block in stage.blocks:
                norms = block.project.conv.weight.abs().sum(dim=(0, 2, 3))
                assert (norms.diff() <= 1e-5).all()
        assert (supernet.head.weight.abs().sum(dim=0).diff() <= 1e-5).all()

    def test_makes_a_narrow_subnet_nearer_to_the_full_one(self):
        supernet, image = trained_mini(), torch.rand(8, 1, 28, 28)
        for stage in supernet.stages[1:]:
            for block in stage.blocks:
                weight = block.project.conv.weight
                weight.data[:, : weight.shape[1] // 2] *= 0.01  # the first half hardly matters
        full = run(supernet, image)

        def error():
            changes = {f"stages.{stage}.blocks.{block}.expansion": 2 for stage in (1, 2) for block in range(3)}
            supernet.activate(MOBILE_MINI.choices.arch({**MOBILE_MINI.choices.largest.choices, **changes}))
            return (run(supernet, image) - full).abs().mean()

        before = error()
        supernet.order_channels()
        assert error() < before / 10


@pytest.mark.parametrize(("space", "stride"), [(MOBILE_EFFICIENTNET, 32), (MOBILE_MINI, 4)])
def test_a_resolution_that_the_strides_do_not_divide_is_refused(space, stride):
    with pytest.raises(UsageError, match=f"no multiple of {stride}"):
        space.outline().parts(space.setting(resolution=7 * stride + 1))
