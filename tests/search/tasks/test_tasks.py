"""The tasks that come with hwloop keep the contract; a user's own is one file."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from hwloop.errors import UsageError
from hwloop.records import TensorSpec
from hwloop.search.spaces.hat import hat_space
from hwloop.search.spaces.minilm import BERT_MINILM
from hwloop.search.spaces.resnet import RESNET_MINI
from hwloop.search.spaces.vit import VIT_MINI
from hwloop.search.tasks import debian_it
from hwloop.search.tasks.base import Split
from hwloop.search.tasks.debian_it import DEBIAN_IT, VOCABULARY, debian_words
from hwloop.search.tasks.digits import DIGITS
from hwloop.search.tasks.fashion_mnist import FASHION_MNIST
from hwloop.search.tasks.registry import TASKS, load_task
from hwloop.search.tasks.reviews import REVIEWS, rated_sentences
from hwloop.search.tokens import END, IGNORED, PAD, START
from hwloop.testing.task import TaskContract
from hwloop.testing.translation import DICTIONARY, SIZES, TINY_TRANSLATORS

IMAGE = (TensorSpec("image", "float32", (1, 1, 8, 8)),)


class TestDigits(TaskContract):
    @pytest.fixture(scope="class", params=[RESNET_MINI, VIT_MINI], ids=lambda space: space.name)
    @classmethod
    def space(cls, request):
        return request.param

    @pytest.fixture(scope="class")
    @classmethod
    def task(cls):
        return DIGITS


class TestFashionMnist(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return VIT_MINI

    @pytest.fixture(scope="class")
    @classmethod
    def task(cls):
        return FASHION_MNIST

    def test_no_example_stands_on_both_sides(self, data):
        """Fashion-MNIST's own split has few images twice; it is kept, as all results on it are for this split."""
        assert (len(data.train), len(data.eval)) == (60_000, 10_000)


class TestReviews(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return BERT_MINILM

    @pytest.fixture(scope="class")
    @classmethod
    def task(cls):
        return REVIEWS


class TestDebianIt(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        sizes = replace(SIZES, source_words=VOCABULARY, target_words=VOCABULARY)
        return hat_space("tiny", "translators of few numbers and many words", sizes, tokens=30)

    @pytest.fixture(scope="class")
    @classmethod
    def task(cls):
        return DEBIAN_IT

    def test_labels_are_the_target_one_step_on(self, data):
        target, labels = data.eval.inputs["target"], data.eval.labels
        for row, wanted in zip(target[:50].tolist(), labels[:50].tolist(), strict=True):
            end = wanted.index(END)
            assert row[: end + 1] == [START, *wanted[:end]]
            assert set(row[end + 1 :]) <= {PAD} and set(wanted[end + 1 :]) <= {IGNORED}

    def test_the_reference_itself_is_perfect_and_the_source_is_not(self, task, data):
        assert task.metric(data.eval.labels, data.eval.labels) == pytest.approx(1.0)
        assert task.metric(data.eval.inputs["source"], data.eval.labels) < 0.2

    def test_there_are_as_many_pairs_as_ever(self, data):
        assert (len(data.train), len(data.eval)) == (101_478, 2_069)

    def test_what_was_prepared_is_enough_without_a_network(self, task, inputs, data, monkeypatch, tmp_path):
        shutil.copytree(debian_it.prepared_folder(), tmp_path / "tasks" / debian_it.prepared_folder().name)
        monkeypatch.setenv("HWLOOP_CACHE_DIR", str(tmp_path))
        monkeypatch.setattr(debian_it, "package_files", lambda *words: pytest.fail("something is fetched"))
        assert np.array_equal(task.data(inputs).eval.labels, data.eval.labels)

    def test_tokens_give_back_the_texts(self, task, data):
        words = debian_words()
        sentences = task.decode(data.eval.inputs["source"])
        tokens = words.encode(sentences)
        assert [row[: len(one)].tolist() for row, one in zip(data.eval.inputs["source"], tokens, strict=True)] == tokens


class TestDictionary(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return TINY_TRANSLATORS

    @pytest.fixture(scope="class")
    @classmethod
    def task(cls):
        return DICTIONARY


def test_all_rated_sentences_are_read():
    rated = rated_sentences()
    assert len(rated) == 10_605
    assert sum(rating > 0.5 for _, rating in rated) == 4_982
    assert rated[2] == ("Effective but too tepid biopic", -0.6)


def test_batches_hold_every_example_once():
    split = Split({"x": np.arange(7)}, np.arange(7))
    assert [list(batch.labels) for batch in split.batches(3)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_images_of_other_channels_are_refused():
    with pytest.raises(UsageError, match=r"images of 1 channel\(s\), and the network takes \[1, 3, 8, 8\]"):
        DIGITS.data((TensorSpec("image", "float32", (1, 3, 8, 8)),))


def test_a_network_of_other_classes_is_refused():
    with pytest.raises(UsageError, match="task digits has 10 classes, and the network 2"):
        DIGITS.loss(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))


def test_tasks_come_by_name():
    assert [load_task(name).name for name in TASKS] == list(TASKS)
    with pytest.raises(UsageError, match="there is no task 'nothing'"):
        load_task("nothing")


def test_a_task_of_ones_own_is_a_file(tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "from hwloop.search.tasks.base import Classification\n"
        "from hwloop.search.tasks.digits import load_digits\n"
        "MINE = Classification('mine', 'my own', 10, load_digits)\n"
        "OTHER = 7\n"
    )
    task = load_task(f"{own}:MINE")
    assert task.name == "mine" and len(task.data(IMAGE).eval) == 360
    with pytest.raises(UsageError, match="no task: it has no name, summary, data, loss, metric"):
        load_task(f"{own}:OTHER")
    with pytest.raises(UsageError, match="it has no NOTHING"):
        load_task(f"{own}:NOTHING")
