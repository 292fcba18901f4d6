"""Training runs: they learn, are the same for a seed, and go on exactly where they were stopped."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hwloop.errors import UsageError
from hwloop.search.checkpoints import supernet_with
from hwloop.search.spaces.registry import load_space
from hwloop.search.tasks.base import Split
from hwloop.search.tokens import IGNORED, PAD
from hwloop.search.training.curves import curve_path, read_steps
from hwloop.search.training.recipe import Recipe
from hwloop.search.training.run import TrainingRun
from hwloop.search.training.trainer import Trainer
from hwloop.testing.translation import DICTIONARY, TINY_TRANSLATORS

SPACE = """
from dataclasses import replace

from hwloop.search.spaces.resnet import ResnetSizes, StageSizes, resnet_space

SIZES = ResnetSizes(
    (StageSizes(16, (1, 2)),), stem_width=16, stem_stride=1, widths=(0.5, 1.0), expansions=(0.5, 1.0), channels=1,
    classes=10,
)
TINY = resnet_space("tiny", "residual networks for tests", SIZES, 8)
TRAINED = replace(TINY, pretrained=lambda: TINY.supernet(seed=7).state_dict())
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "own.py").write_text(SPACE)
    return Recipe(f"{tmp_path}/own.py:TINY", "digits", steps=6, batch=16)


def never():
    return False


def after(run, step):
    return lambda: run.trainer.step >= step


def weights_of(run):
    return run.trainer.supernet.state_dict()


def equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def trained(recipe, path):
    run = TrainingRun(recipe, path)
    run.run(never, lambda step: None)
    return run


@pytest.mark.parametrize("sampling", ["sandwich", "uniform", "complexity"])
def test_a_stopped_run_goes_on_to_the_very_same_weights(recipe, tmp_path, sampling):
    recipe = replace(recipe, sampling=sampling)
    whole = trained(recipe, tmp_path / "whole.safetensors")
    half = TrainingRun(recipe, tmp_path / "half.safetensors")
    half.run(after(half, 3), lambda step: None)
    assert not half.complete
    half = TrainingRun(recipe, tmp_path / "half.safetensors", resume=True)
    half.run(never, lambda step: None)
    assert half.complete and equal(weights_of(half), weights_of(whole))
    curves = [read_steps(curve_path(run.checkpoint)) for run in (half, whole)]
    assert curves[0] == curves[1] and [step.number for step in curves[0]] == [1, 2, 3, 4, 5, 6]


def test_a_seed_decides_the_weights(recipe, tmp_path):
    one, other = (trained(recipe, tmp_path / f"{name}.safetensors") for name in ("one", "other"))
    assert equal(weights_of(one), weights_of(other))
    assert not equal(weights_of(one), weights_of(trained(replace(recipe, seed=1), tmp_path / "third.safetensors")))


def test_it_learns_and_its_checkpoint_serves_other_commands(recipe, tmp_path):
    run = trained(replace(recipe, steps=150, learning_rate=0.01), tmp_path / "w.safetensors")
    judged = list(run.judge())
    assert {one.name for one in judged} == {"smallest", "largest", "random"}
    assert min(one.accuracy for one in judged) > 0.5
    saved = supernet_with(load_space(recipe.space), f"{tmp_path}/w.safetensors")
    assert equal(saved.state_dict(), weights_of(run))


def test_it_starts_from_trained_weights_and_stays_near_them_at_first(recipe, tmp_path):
    own = recipe.space.replace("TINY", "TRAINED")
    run = TrainingRun(replace(recipe, space=own, weights="pretrained", learning_rate=1e-6), tmp_path / "w.safetensors")
    weights = dict(run.trainer.network.named_parameters())
    before = {name: value.detach().clone() for name, value in weights.items()}
    assert equal(weights_of(run), load_space(own).pretrained())
    run.run(never, lambda step: None)
    moved = [float((value - before[name]).detach().abs().max()) for name, value in weights.items()]
    assert 0 < max(moved) < 1e-4


def test_a_run_is_not_resumed_as_another_one(recipe, tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(UsageError, match="no run can be resumed"):
        TrainingRun(recipe, path, resume=True)
    trained(recipe, path)
    with pytest.raises(UsageError, match="batch was 16 and is 8 now"):
        TrainingRun(replace(recipe, batch=8), path, resume=True)


def test_what_does_not_fit_together_is_refused(recipe, tmp_path):
    with pytest.raises(UsageError, match="more than the 1437 examples"):
        TrainingRun(replace(recipe, batch=5000), tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match="task digits gives image, and the network takes source, target"):
        TrainingRun(replace(recipe, space="hat-small"), tmp_path / "w.safetensors")


TRANSLATORS = """
from dataclasses import replace

from hwloop.search.spaces.hat import hat_space
from hwloop.testing.translation import DICTIONARY, SIZES, TINY_TRANSLATORS

FEW_WORDS = hat_space("few-words", "translators without enough words", replace(SIZES, source_words=8, shared=False), 6)
"""


@pytest.fixture
def translating(tmp_path):
    own = tmp_path / "translators.py"
    own.write_text(TRANSLATORS)
    return Recipe(f"{own}:TINY_TRANSLATORS", f"{own}:DICTIONARY", steps=4, batch=8)


@pytest.mark.parametrize("sampling", ["sandwich", "uniform", "complexity"])
def test_translators_too_go_on_to_the_very_same_weights(translating, tmp_path, sampling):
    recipe = replace(translating, sampling=sampling)
    whole = trained(recipe, tmp_path / "whole.safetensors")
    half = TrainingRun(recipe, tmp_path / "half.safetensors")
    half.run(after(half, 2), lambda step: None)
    half = TrainingRun(recipe, tmp_path / "half.safetensors", resume=True)
    half.run(never, lambda step: None)
    assert equal(weights_of(half), weights_of(whole))
    saved = supernet_with(load_space(recipe.space), f"{tmp_path}/half.safetensors")
    assert equal(saved.state_dict(), weights_of(whole))
    assert all(0 <= one.accuracy <= 1 for one in half.judge())


def test_tokens_that_a_translator_does_not_know_are_refused(translating, tmp_path):
    own = translating.space.replace("TINY_TRANSLATORS", "FEW_WORDS")
    with pytest.raises(UsageError, match="source tokens up to 10, and the network knows 8"):
        TrainingRun(replace(translating, space=own), tmp_path / "w.safetensors")


def test_what_fills_a_target_up_teaches_nothing(dictionary):
    """Losses and gradients are the same with more filling."""
    found = []
    for more in (0, 3):
        widths = ((0, 0), (0, more))
        examples = dictionary.train.take(slice(8))
        inputs = {**examples.inputs, "target": np.pad(examples.inputs["target"], widths, constant_values=PAD)}
        examples = Split(inputs, np.pad(examples.labels, widths, constant_values=IGNORED))
        trainer = Trainer(
            TINY_TRANSLATORS,
            TINY_TRANSLATORS.supernet(),
            DICTIONARY,
            examples,
            Recipe("tiny-translators", "dictionary", batch=8),
            torch.device("cpu"),
        )
        step = trainer.advance()
        found.append((step.losses, trainer.supernet.decoder.output.weight.grad))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)


def test_the_learning_rate_rises_and_falls():
    rates = [Recipe("s", "t", steps=100, learning_rate=1.0).learning_rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and rates[4] == rates[5] == 1.0 and 0 < rates[99] < 0.01
    assert rates[5:] == sorted(rates[5:], reverse=True)
