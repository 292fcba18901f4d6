"""Features: named columns, and ragged kernels."""

import numpy as np
import pytest

from hwloop.errors import UsageError
from hwloop.predictor.features import Features, KernelTable

MODELS = [
    [("conv", (10, 1)), ("matmul", (20, 2)), ("conv", (30, 3))],
    [],
    [("softmax", (5, 5))],
]


@pytest.fixture
def table():
    return KernelTable.of(MODELS, ["operations", "bytes"])


def test_rows_are_taken_with_their_kernels_in_the_order_asked(table):
    taken = table.take(np.array([2, 0]))
    assert taken.rows == 2
    assert [table.kinds[kind] for kind in taken.kind] == ["softmax", "conv", "matmul", "conv"]
    assert taken.row.tolist() == [0, 1, 1, 1]
    assert taken.values[:, 0].tolist() == [5, 10, 20, 30]


def test_a_row_may_be_taken_twice_and_may_have_no_kernels(table):
    assert table.take(np.array([1, 0, 0])).row.tolist() == [1, 1, 1, 2, 2, 2]


def test_totals_count_and_sum_by_kind(table):
    features = Features.of_kernels(table).with_totals(("conv", "matmul"))
    named = dict(zip(features.columns, features.values.T, strict=True))
    assert named["conv:kernels"].tolist() == [2, 0, 0]
    assert named["conv:operations"].tolist() == [40, 0, 0]
    assert named["matmul:bytes"].tolist() == [2, 0, 0]
    assert named["all:operations"].tolist() == [60, 0, 5]  # the softmax, of no named kind, counts here


def test_kinds_that_are_not_known_have_no_index(table):
    assert table.spoken(("softmax",)).kind.tolist() == [-1, -1, -1, 0]


def test_totals_of_taken_rows_are_taken_totals(table):
    features = Features.of_kernels(table)
    rows = np.array([2, 0])
    assert (features.take(rows).with_totals(table.kinds).values == features.with_totals(table.kinds).values[rows]).all()


@pytest.mark.parametrize(
    ("columns", "values", "words"),
    [
        (["a"], [[1.0, 2.0]], "do not fit 1 column names"),
        (["a", "a"], [[1.0, 2.0]], "same name"),
        (["a", "b"], [[1.0, 2.0], [1.0, np.nan]], "feature b of row 1"),
        (["a"], [[np.inf]], "feature a of row 0"),
    ],
)
def test_what_is_no_table_is_refused(columns, values, words):
    with pytest.raises(UsageError, match=words):
        Features.of(columns, values)


def test_kernels_of_other_models_are_refused(table):
    with pytest.raises(UsageError, match="kernels of 3 models"):
        Features(("a",), np.ones((2, 1)), table)


def test_negative_amounts_are_refused():
    with pytest.raises(UsageError, match="negative"):
        KernelTable.of([[("conv", (-1, 1))]], ["operations", "bytes"])
