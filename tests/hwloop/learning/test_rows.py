"""Which measurements are learned from together."""

import pytest

from hwloop.errors import UsageError
from hwloop.learning.rows import find_rows, rows_of
from hwloop.records import TimingProtocol, Verdict


def test_rows_come_with_what_they_have_in_common(store, measured, networks):
    measured(networks[:3])
    rows = rows_of(store, "local", "onnxruntime")
    assert len(rows) == 3 and (rows.values > 0).all() and rows.left_out == ()
    assert (rows.scope.device_identity, rows.scope.threads, rows.scope.unit) == ("board-1", 1, "ms")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"device_identity": "board-2"}, "device identity board-2"),
        ({"runtime_version": "1.0"}, "runtime version 1.0"),
        ({"threads": 2}, "threads 2"),
        ({"batch": 4}, "batch 4"),
        ({"protocol": TimingProtocol(full_speed=True).as_json()}, "full speed True"),
    ],
)
def test_rows_that_differ_are_left_out_and_told(store, measured, networks, change, words):
    measured(networks[3:5], **change)
    measured(networks[:3])
    rows = rows_of(store, "local", "onnxruntime")
    assert len(rows) == 3
    assert rows.left_out == (f"2 with {words}",)


def test_measurements_that_cannot_be_trusted_are_left_out_and_told(store, measured, networks):
    measured(networks[:3])
    measured(networks[3:4], Verdict.INVALID)
    rows = rows_of(store, "local", "onnxruntime")
    assert len(rows) == 3 and rows.left_out == ("1 INVALID",)


def test_the_newest_board_counts(store, measured, networks):
    measured(networks[:3])
    measured(networks[:1], device_identity="board-2")
    assert rows_of(store, "local", "onnxruntime").scope.device_identity == "board-2"


def test_a_model_that_was_measured_twice_is_one_row_with_the_newest_value(store, measured, networks):
    measured(networks[:2])
    measured(networks[:1], value=lambda _network: 99.0)
    assert sorted(rows_of(store, "local", "onnxruntime").values)[-1] == 99.0
    assert len(rows_of(store, "local", "onnxruntime")) == 2


def test_an_emulated_device_gives_instructions(store, measured, networks):
    measured(networks[:2], value=lambda _network: 7e7, emulated=True)
    rows = rows_of(store, "local", "onnxruntime")
    assert rows.scope.unit == "instructions" and list(rows.values) == [7e7, 7e7]


def test_a_device_that_was_never_measured_is_told_how_to(store):
    assert find_rows(store, "local", "tvm") is None
    with pytest.raises(UsageError, match="no valid measurement of local with tvm") as told:
        rows_of(store, "local", "tvm")
    assert "hwloop measure" in told.value.remedy


def test_rows_of_a_space_are_its_candidates(store, measured, networks):
    measured(networks[:2])
    rows = rows_of(store, "local", "onnxruntime")
    assert len(rows.of_space("toy")) == 2 and len(rows.of_space("hat-small")) == 0
