"""Lines over pipes: whole, in order, within limits."""

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.devices.runner.wire import Lines, reply_in_time


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def sent(chunks, most_bytes=None):
    """What comes out of Lines when these chunks go in, one read each."""
    reading, writing = os.pipe()
    lines = Lines(reading, most_bytes)
    found = []
    try:
        for chunk in filter(None, chunks):
            os.write(writing, chunk)
            lines.fill()
            while lines.ready:
                found.append(lines.next())
        os.close(writing)
        assert lines.next() is None
    finally:
        os.close(reading)
    return found


@given(st.lists(st.binary(max_size=20)))
def test_lines_come_out_as_they_went_in_however_they_are_cut(chunks):
    assert sent(chunks) == b"".join(chunks).split(b"\n")[:-1]


@given(st.lists(st.sampled_from([b"ok", b"x" * 30, b"\n"])))
def test_a_line_that_is_too_long_becomes_an_empty_one_and_the_next_is_whole(chunks):
    expected = b"".join(chunks).split(b"\n")[:-1]
    found = sent(chunks, most_bytes=50)
    assert len(found) == len(expected)
    assert all(one == other or (one == b"" and len(other) > 50) for one, other in zip(found, expected, strict=True))


def test_an_endless_line_takes_no_memory(pipe):
    lines = Lines(pipe[0], most_bytes=1000)
    for _ in range(50):
        os.write(pipe[1], b"x" * 10_000)
        lines.fill()
        assert len(lines.buffer) <= 10_000
    os.write(pipe[1], b"\nnext\n")
    assert [lines.next(), lines.next()] == [b"", b"next"]


def test_an_answer_that_nobody_reads_is_given_up(pipe):
    with pytest.raises(BrokenPipeError):
        reply_in_time(pipe[1], {"ok": "x" * 1_000_000}, 0.2)


def test_a_long_answer_that_is_read_slowly_arrives_whole(pipe):
    writer = threading.Thread(target=reply_in_time, args=(pipe[1], {"ok": "x" * 300_000}, 30.0))
    writer.start()
    assert len(Lines(pipe[0]).next()) == 300_000 + len('{"ok": ""}')
    writer.join(30)
