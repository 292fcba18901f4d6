"""A results file comes back whole or is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.devices.carried.results_file import MAGIC, ResultsRefused, read_results, write_results

CONTENT = {"job": "ab" * 32, "replies": [{"cell": 0, "ok": {"samples_ns": list(range(300))}}]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "job.results"
    write_results(str(path), CONTENT)
    return path.read_bytes()


def test_what_was_written_is_read(data):
    assert read_results(data) == CONTENT


@given(st.data())
def test_a_changed_byte_is_refused(data, draw):
    place = draw.draw(st.integers(0, len(data) - 1))
    other = draw.draw(st.integers(1, 255))
    changed = data[:place] + bytes([data[place] ^ other]) + data[place + 1 :]
    with pytest.raises(ResultsRefused):
        read_results(changed)


@given(st.data())
def test_a_file_that_was_cut_short_is_refused(data, draw):
    with pytest.raises(ResultsRefused):
        read_results(data[: draw.draw(st.integers(0, len(data) - 1))])


@given(st.binary(max_size=200))
def test_another_file_is_refused(other):
    with pytest.raises(ResultsRefused):
        read_results(other)


def test_one_of_a_newer_version_says_so(data):
    newer = data.replace(MAGIC + b"1 ", MAGIC + b"7 ", 1)
    with pytest.raises(ResultsRefused, match="format 7"):
        read_results(newer)
