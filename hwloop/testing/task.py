"""What every task must do. Subclass `TaskContract` and give it the fixtures `task` and `space`, one that fits it:

class TestMyTask(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def task(cls):
        return MY_TASK

    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return A_SPACE
"""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.errors import UsageError
from hwloop.records import TensorSpec
from hwloop.search.judging import loss_and_answers
from hwloop.search.spaces.base import Space
from hwloop.search.tasks.base import Data, Split, Task
from hwloop.search.training.run import inputs_of

FEW = 4


class TaskContract:
    """Data in the form that networks take, the same every time, and a metric that knows right from wrong."""

    @pytest.fixture(scope="class")
    @classmethod
    def inputs(cls, space: Space) -> tuple[TensorSpec, ...]:
        """Return what the space's largest network takes."""
        return inputs_of(space, space.setting())

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, task: Task, inputs: tuple[TensorSpec, ...]) -> Data:
        """Return the task's data."""
        return task.data(inputs)

    def test_examples_have_the_form_of_the_inputs(self, data: Data, inputs: tuple[TensorSpec, ...]) -> None:
        for split in (data.train, data.eval):
            assert list(split.inputs) == [spec.name for spec in inputs]
            for spec in inputs:
                values = split.inputs[spec.name]
                assert (values.dtype.name, values.shape[1:]) == (spec.dtype, spec.shape[1:])
                assert len(values) == len(split) > 0

    def test_no_example_stands_on_both_sides(self, data: Data) -> None:
        assert not _contents(data.train) & _contents(data.eval)

    def test_data_is_the_same_every_time(self, task: Task, data: Data, inputs: tuple[TensorSpec, ...]) -> None:
        again = task.data(inputs)
        for one, other in ((data.train, again.train), (data.eval, again.eval)):
            assert np.array_equal(one.labels, other.labels)
            assert all(np.array_equal(one.inputs[name], other.inputs[name]) for name in one.inputs)

    def test_a_network_learns_from_its_loss_and_is_judged(self, task: Task, space: Space, data: Data) -> None:
        loss, answers = loss_and_answers(space.supernet(), task, data.train.take(slice(FEW)))
        assert np.isfinite(loss) and loss > 0
        assert 0 <= task.metric(answers, data.train.labels[:FEW]) <= 1

    def test_other_inputs_are_refused_by_name(self, task: Task) -> None:
        with pytest.raises(UsageError, match="no_such_input"):
            task.data((TensorSpec("no_such_input", "float32", (1, 3)),))


def _contents(split: Split) -> set[bytes]:
    return {b"".join(values[number].tobytes() for values in split.inputs.values()) for number in range(len(split))}
