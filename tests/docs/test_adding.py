"""What the pages show how to add can be added: each example keeps the contract that is named beside it."""

import ast
from pathlib import Path

import numpy as np
import pytest

from hwloop.predictor.features import Features
from hwloop.search.spaces.resnet import ResnetSizes, StageSizes, resnet_space
from hwloop.search.tasks.registry import load_task
from hwloop.testing.documents import blocks_of
from hwloop.testing.strategy import StrategyContract
from hwloop.testing.task import TaskContract

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [block for block in blocks_of(DOCS / "adding.md") if block.language == "python"]
SMALL = ResnetSizes(
    (StageSizes(8, (1, 2)),),
    stem_width=8,
    stem_stride=1,
    widths=(0.5, 1.0),
    expansions=(0.5, 1.0),
    channels=1,
    classes=2,
)


def example(name):
    """The class of that name out of the page's examples."""
    for block in BLOCKS:
        space = {"__name__": "example"}
        exec(block.text, space)
        if name in space:
            return space[name]
    raise AssertionError(name)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.before[:30])
def test_every_example_is_a_module_whose_last_class_is_what_it_shows(block):
    last = ast.parse(block.text).body[-1]
    assert isinstance(last, ast.ClassDef)
    assert isinstance(example(last.name), type)


class TestTheStrategy(StrategyContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return example("Climber")


class TestTheTask(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def task(cls, tmp_path_factory):
        (block,) = (block for block in blocks_of(DOCS / "training.md") if block.language == "python")
        file = tmp_path_factory.mktemp("example") / "my_task.py"
        file.write_text(block.text)
        return load_task(f"{file}:BRIGHT")

    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return resnet_space("small", "networks of two classes", SMALL, 8)


def test_the_estimator_learns_predicts_and_is_restored():
    estimator = example("Typical")()
    features = Features.of(["width"], np.arange(1.0, 12.0)[:, None])
    estimator.fit(features, np.arange(1.0, 12.0))
    again = type(estimator).restore(estimator.state())
    assert again.predict_ms(features).tolist() == estimator.predict_ms(features).tolist() == [6.0] * 11
