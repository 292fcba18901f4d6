"""What ships is judged: the ONNX model's accuracy is that of the subnet, in fp32 and quantized."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hwloop.records import Candidate, QuantPolicy
from hwloop.search.evaluation import Evaluator, model_outputs
from hwloop.search.judging import subnet_accuracy, subnet_outputs
from hwloop.search.spaces.resnet import ResnetSizes, StageSizes, resnet_space
from hwloop.search.subnets import export_subnets
from hwloop.search.tasks.digits import DIGITS
from hwloop.search.training.recipe import Recipe
from hwloop.search.training.run import inputs_of
from hwloop.search.training.trainer import Trainer
from hwloop.testing.translation import DICTIONARY, TINY_TRANSLATORS

SIZES = ResnetSizes(
    (StageSizes(16, (1, 2)),),
    stem_width=16,
    stem_stride=1,
    widths=(0.5, 1.0),
    expansions=(0.5, 1.0),
    channels=1,
    classes=10,
)
SPACE = resnet_space("tiny", "residual networks for tests", SIZES, 8)


@pytest.fixture(scope="module")
def data():
    return DIGITS.data(inputs_of(SPACE, SPACE.setting()))


@pytest.fixture(scope="module")
def supernet(data):
    """A supernet that knows digits."""
    recipe = Recipe("tiny", "digits", steps=150, batch=16, learning_rate=0.01)
    trainer = Trainer(SPACE, SPACE.supernet(), DIGITS, data.train, recipe, torch.device("cpu"))
    for _ in range(recipe.steps):
        trainer.advance()
    return trainer.supernet


@pytest.fixture(scope="module")
def evaluator(supernet, data):
    return Evaluator(SPACE, supernet, SPACE.setting(), DIGITS, data)


@pytest.mark.parametrize("end", ["smallest", "largest"])
def test_an_fp32_artifact_is_as_good_as_the_subnet_with_statistics_of_its_own(evaluator, supernet, data, end):
    arch = getattr(SPACE.choices, end)
    found = evaluator.accuracy(Candidate("tiny", arch))
    assert found == pytest.approx(subnet_accuracy(supernet, arch, DIGITS, data), abs=1 / len(data.eval))
    assert found > 0.5


@pytest.mark.parametrize("scheme", ["int8-dynamic", "int8-static"])
def test_eight_bits_cost_little_where_ranges_come_from_the_data(evaluator, scheme):
    plain, quantized = (
        evaluator.accuracy(Candidate("tiny", SPACE.choices.largest, QuantPolicy(rules)))
        for rules in ({}, {"*": scheme})
    )
    assert quantized > plain - 0.05


def test_an_incomplete_batch_is_filled_up(supernet, data):
    some = replace(data, eval=data.eval.take(slice(10)))
    wanted = None
    for batch in (1, 4):
        (subnet,) = export_subnets(supernet, SPACE.choices.largest, SPACE.setting(batch=batch))
        found = model_outputs(subnet.model, some.eval)
        assert found.shape == (10, 10)
        np.testing.assert_allclose(found, found if wanted is None else wanted, rtol=1e-4, atol=1e-5)
        wanted = found


def test_judging_leaves_the_shared_statistics_alone(supernet, data):
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    subnet_outputs(supernet, SPACE.choices.smallest, data)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())


# ── translators ──


@pytest.fixture(scope="module", params=[1, 4], ids=lambda batch: f"batch{batch}")
def translations(request, translators, dictionary):
    setting = TINY_TRANSLATORS.setting(batch=request.param)
    return Evaluator(TINY_TRANSLATORS, translators, setting, DICTIONARY, dictionary, examples=30)


@pytest.mark.parametrize("end", ["smallest", "largest"])
def test_an_fp32_translator_ships_as_good_as_it_is(translations, translators, dictionary, end):
    arch = getattr(TINY_TRANSLATORS.choices, end)
    some = replace(dictionary, eval=dictionary.eval.take(slice(30)))
    found = translations.accuracy(Candidate("tiny-translators", arch))
    assert found == pytest.approx(subnet_accuracy(translators, arch, DICTIONARY, some), abs=1e-9)
    assert found > 0.4


@pytest.mark.parametrize("scheme", ["int8-dynamic", "int8-static"])
def test_a_translator_of_eight_bits_ships_nearly_as_good(translations, scheme):
    plain, quantized = (
        translations.accuracy(Candidate("tiny-translators", TINY_TRANSLATORS.choices.largest, QuantPolicy(rules)))
        for rules in ({}, {"*": scheme})
    )
    assert quantized > plain - 0.2
