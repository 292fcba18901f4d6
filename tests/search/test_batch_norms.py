"""Batch norms' statistics of a subnet: right where they are taken, and the shared ones unharmed."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hwloop.search.batch_norms import recalibrate, recalibrated, statistics
from hwloop.search.spaces.mobile import MOBILE_MINI
from hwloop.search.spaces.resnet import RESNET_MINI, SMALL_IMAGES, Resnet, StageSizes, resnet_choices


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(16, 1, 28, 28, generator=generator) * 3 + 1 for _ in range(3)]


@pytest.fixture(params=[RESNET_MINI, MOBILE_MINI], ids=lambda space: space.name)
def small(request):
    """Return a supernet whose smallest subnet is active."""
    supernet = request.param.supernet()
    supernet.activate(request.param.choices.smallest)
    return supernet


def inputs_of(norm, network, batches):
    """Return what a batch norm is given in inference: a tensor for each batch."""
    seen = []
    handle = norm.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    with torch.no_grad():
        for batch in batches:
            network(batch)
    handle.remove()
    return seen


def test_they_are_the_averages_over_the_batches(small, batches):
    recalibrate(small, batches)
    norm = next(module for module in small.modules() if isinstance(module, nn.BatchNorm2d))
    seen = inputs_of(norm, small, batches)
    n = seen[0].shape[1]
    means = torch.stack([one.mean(dim=(0, 2, 3)) for one in seen]).mean(dim=0)
    variances = torch.stack([one.var(dim=(0, 2, 3)) for one in seen]).mean(dim=0)
    assert torch.allclose(norm.running_mean[:n], means, rtol=1e-4, atol=1e-5)
    assert torch.allclose(norm.running_var[:n], variances, rtol=1e-4)


def test_inference_on_a_batch_is_then_what_training_on_it_was(small, batches):
    only = batches[:1]
    recalibrate(small, only)
    with torch.no_grad():
        found = small.eval()(only[0])
        wanted = small.train()(only[0])
    # Running variances are unbiased, a batch's own are not: the difference is one in 16 * 7 * 7 at most.
    assert torch.allclose(found, wanted, rtol=0.05, atol=0.02 * float(wanted.abs().max()))


def test_what_the_subnet_does_not_run_stays(small, batches):
    before = statistics(small)
    recalibrate(small, batches)
    after = statistics(small)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and not any(".blocks.2." in name for name in changed)


def test_the_shared_ones_are_back_afterwards_whatever_happens(small, batches):
    before = statistics(small)
    with pytest.raises(RuntimeError, match="stopped"), recalibrated(small, batches):
        assert any(not torch.equal(before[name], value) for name, value in statistics(small).items())
        raise RuntimeError("stopped")
    assert all(torch.equal(before[name], value) for name, value in statistics(small).items())


@pytest.mark.parametrize("training", [True, False])
def test_whether_it_trains_and_how_fast_norms_move_is_left_as_it_was(small, batches, training):
    small.train(training)
    recalibrate(small, batches)
    assert {module.training for module in small.modules()} == {training}
    assert {module.momentum for module in small.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}


def test_no_batches_change_nothing(small):
    before = statistics(small)
    recalibrate(small, [])
    assert all(torch.equal(before[name], value) for name, value in statistics(small).items())


def test_a_narrow_subnet_answers_right_again_where_the_shared_statistics_are_a_wide_ones():
    """Two classes, dark and bright; both subnets are trained, then the wide one runs alone for a while."""
    labels = torch.arange(32) % 2
    images = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + labels.reshape(-1, 1, 1, 1) * 0.5
    sizes = replace(SMALL_IMAGES, stages=(StageSizes(64, (1, 2)), StageSizes(64, (1, 2))), classes=2)
    torch.manual_seed(0)
    choices, supernet = resnet_choices(sizes), Resnet(sizes)
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.05, momentum=0.9)
    for _ in range(20):
        for arch in (choices.smallest, choices.largest):
            supernet.activate(arch)
            nn.functional.cross_entropy(supernet(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        for _ in range(50):
            supernet(images)
    supernet.eval()
    supernet.activate(choices.smallest)

    def accuracy():
        with torch.no_grad():
            return float((supernet(images).argmax(dim=1) == labels).float().mean())

    shared = accuracy()
    with recalibrated(supernet, [images]):
        own = accuracy()
    assert own > max(shared, 0.95)
