"""What a runner answers is believed only if it is of the agreed form."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.devices.jobs import JobResult, parse_reply
from hwloop.errors import RunnerError
from hwloop.records import Conditions, Failure, FailureKind

EVIDENCE = {
    "governor": "performance",
    "frequencies_mhz": [1500.0],
    "temperature_c": 40.5,
    "throttled": 0,
    "load_1min": 0.1,
    "memory_available_bytes": 1 << 30,
    "running": 1,
    "processors": 4,
    "busy_s": 12.5,
    "idle_s": 900.0,
}
DURING = {
    "cpus": [3],
    "window_s": 1.5,
    "clocks_mhz": [1500.0, 1500],
    "temperatures_c": [45.5],
    "throttled": 0,
    "foreign_s": 0.3,
    "waited_s": None,
    "involuntary_switches": 4,
    "full_speed_ns": 11_500,
    "set_aside": 2,
}
GOOD = {
    "started_at": "2026-01-01T00:00:00.000+00:00",
    "samples_ns": [5, 6, 7],
    "warmup_ns": [9],
    "steady": True,
    "instructions": [],
    "peak_rss_bytes": 1000,
    "load_ms": 1.5,
    "outputs_digest": "0" * 64,
    "outputs": [{"name": "y", "dtype": "float32", "shape": [1], "data": base64.b64encode(b"\0" * 4).decode()}],
    "before": EVIDENCE,
    "after": EVIDENCE,
    "during": DURING,
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_a_good_reply_is_read_whole():
    result = parse_reply("pi", {"ok": GOOD})
    assert isinstance(result, JobResult)
    assert result.samples_ns == (5, 6, 7)
    assert result.outputs[0].data == b"\0" * 4
    assert result.before.frequencies_mhz == (1500.0,)
    assert result.during.clocks_mhz == (1500.0, 1500.0)
    assert result.during.foreign_share == pytest.approx(0.2)
    assert result.during.waited_share is None


def test_a_failure_keeps_its_kind_message_and_stderr():
    reply = {"failure": {"kind": "timed out", "message": "no result", "detail": "stuck here"}}
    assert parse_reply("pi", reply) == Failure(FailureKind.TIMEOUT, "no result", "stuck here")


def test_a_counted_process_has_no_timed_calls_to_be_disturbed():
    assert parse_reply("pi", {"ok": {**GOOD, "during": None}}).during == Conditions()


@pytest.mark.parametrize("part", ["before", "during"])
@given(data=st.data())
def test_whatever_stands_in_a_field_of_the_evidence_the_only_error_is_runner_error(part, data):
    field = data.draw(st.sampled_from(sorted(GOOD[part])))
    try:
        parse_reply("pi", {"ok": {**GOOD, part: {**GOOD[part], field: data.draw(json_values)}}})
    except RunnerError as error:
        assert error.device == "pi"


@pytest.mark.parametrize(
    "change",
    [
        {"window_s": 0},
        {"window_s": None},
        {"cpus": []},
        {"cpus": None},
        {"foreign_s": float("nan")},
        {"odd": 1},
        {"set_aside": 0.5},
    ],
    ids=str,
)
def test_conditions_that_cannot_be_are_refused(change):
    with pytest.raises(RunnerError, match="agreed form"):
        parse_reply("pi", {"ok": {**GOOD, "during": {**DURING, **change}}})


@given(st.sampled_from(sorted(GOOD)), json_values)
def test_whatever_stands_in_a_field_the_only_error_is_runner_error(field, value):
    try:
        parse_reply("pi", {"ok": {**GOOD, field: value}})
    except RunnerError as error:
        assert error.device == "pi"


@pytest.mark.parametrize("field", sorted(GOOD))
def test_a_missing_field_is_an_error(field):
    with pytest.raises(RunnerError, match="agreed form"):
        parse_reply("pi", {"ok": {key: value for key, value in GOOD.items() if key != field}})


@pytest.mark.parametrize("samples", [[1.5], ["1"], [True], [-1], [None], [1 << 63]])
def test_times_are_whole_numbers(samples):
    with pytest.raises(RunnerError):
        parse_reply("pi", {"ok": {**GOOD, "samples_ns": samples}})


def test_an_unknown_kind_of_failure_is_an_error():
    with pytest.raises(RunnerError):
        parse_reply("pi", {"failure": {"kind": "tired", "message": "", "detail": ""}})
