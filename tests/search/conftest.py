"""What all tests of the search share."""

import pytest
import torch

from hwloop.search.training.recipe import Recipe
from hwloop.search.training.run import inputs_of
from hwloop.search.training.trainer import Trainer
from hwloop.testing.translation import DICTIONARY, TINY_TRANSLATORS


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Networks here are small: threads that wait for each other would only be slow where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def dictionary():
    """The data of the tiny language pair."""
    return DICTIONARY.data(inputs_of(TINY_TRANSLATORS, TINY_TRANSLATORS.setting()))


@pytest.fixture(scope="session")
def translators(dictionary):
    """A supernet of tiny translators that know the pair."""
    recipe = Recipe("tiny-translators", "dictionary", steps=180, batch=64, learning_rate=5e-3, subnets=1)
    supernet = TINY_TRANSLATORS.supernet()
    trainer = Trainer(TINY_TRANSLATORS, supernet, DICTIONARY, dictionary.train, recipe, torch.device("cpu"))
    for _ in range(recipe.steps):
        trainer.advance()
    return trainer.supernet
