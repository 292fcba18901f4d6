"""Requests: exactly the agreed keys, each of the agreed form, and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.devices.runner.requests import REQUESTS, checked
from hwloop.devices.runner.wire import Refused, parse

DIGEST = "a" * 64
TENSOR = {"name": "x", "dtype": "float32", "shape": [1, 3]}
RUN = {
    "artifact": DIGEST,
    "entry": "model.onnx",
    "options": {"dims": {"batch": 1}},
    "inputs": [{**TENSOR, "blob": DIGEST}],
    "outputs": [TENSOR],
    "threads": 1,
    "warmup_seconds": 0.5,
    "known_outputs": [],
    "deadline_s": 120.0,
}
JOB = {
    **RUN,
    "relative_width": 0.02,
    "seconds": 1.0,
    "min_calls": 64,
    "max_calls": 1000,
    "counted_calls": 0,
    "full_speed": 0,
    "full_speed_ns": 0,
}
OWNER = {"user": "anna", "host": "desk", "pid": 1, "doing": "measuring"}
GOOD = [
    {"op": "facts"},
    {"op": "evidence"},
    {"op": "beat"},
    {"op": "holder"},
    {"op": "revoke"},
    {"op": "await", "seconds": 5},
    {"op": "lease", "owner": OWNER, "token": "ab12"},
    {"op": "missing", "blobs": [DIGEST], "folders": []},
    {"op": "adopt", "files": {DIGEST: f"{DIGEST}.0"}},
    {"op": "assemble", "folder": DIGEST, "files": {"a/b": DIGEST}, "archives": [DIGEST]},
    {"op": "trim", "limit_bytes": 0, "keep": [DIGEST]},
    {"op": "job", **JOB},
    {"op": "turns", **RUN},
    {"op": "profile", **RUN, "calls": 50, "counted": 0},
    {"op": "turn", "calls": 3},
    {"op": "end"},
    {
        "op": "set",
        "contestants": [{"runtime": "tvm", "folder": DIGEST, "job": {"op": "turns", **RUN}}],
        "seconds": 3.0,
        "turn_seconds": 0.05,
        "seed": 7,
    },
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


def test_every_request_is_shown_here():
    assert {request["op"] for request in GOOD} == set(REQUESTS)


@pytest.mark.parametrize("request_", GOOD, ids=lambda request: request["op"])
class TestEachRequest:
    def test_is_taken_as_agreed(self, request_):
        assert checked(parse(json.dumps(request_).encode())) == request_

    def test_may_have_no_other_key(self, request_):
        with pytest.raises(Refused, match="shell"):
            checked({**request_, "shell": "id"})

    def test_needs_each_key(self, request_):
        for key in request_.keys() - {"op"}:
            with pytest.raises(Refused, match=key):
                checked({name: value for name, value in request_.items() if name != key})

    @pytest.mark.parametrize("wrong", [None, "../../etc/passwd\0", -5, float("nan"), [None], {"a": None}, True])
    def test_takes_no_value_of_another_form(self, request_, wrong):
        for key in request_.keys() - {"op"}:
            with pytest.raises(Refused, match=key):
                checked({**request_, key: wrong})


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("threads", 0),
        ("threads", 10**6),
        ("threads", 1.0),
        ("deadline_s", 0),
        ("deadline_s", 1e9),
        ("artifact", "A" * 64),
        ("artifact", "a" * 63),
        ("options", {"preload": "/tmp/evil.so"}),
        ("inputs", [{**TENSOR, "blob": DIGEST, "path": "/etc/shadow"}]),
    ],
)
def test_a_job_keeps_to_its_ranges(key, wrong):
    with pytest.raises(Refused, match=key):
        checked({"op": "job", **JOB, key: wrong})


@pytest.mark.parametrize("wrong", ["two\nlines", "\x1b[2J", "x" * 1000])
def test_an_owner_is_a_few_printable_words(wrong):
    with pytest.raises(Refused, match="owner"):
        checked({"op": "lease", "owner": {**OWNER, "doing": wrong}, "token": "ab"})


@given(st.sampled_from(sorted(REQUESTS)), st.data())
def test_whatever_a_request_holds_it_is_taken_or_refused(op, data):
    fields = {key: data.draw(anything) for key in REQUESTS[op]}
    try:
        assert checked({"op": op, **fields}) == {"op": op, **fields}
    except Refused:
        return


@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_line_holds_it_is_a_request_or_refused(line):
    try:
        checked(parse(line))
    except (Refused, ValueError):
        return


@pytest.mark.parametrize("line", [b"", b"[" * 100_000, b'{"op": ' + b"[" * 100_000, b'{"op": 3}', b"[]", b"\xff"])
def test_what_is_no_request_is_refused(line):
    with pytest.raises((Refused, ValueError)):
        parse(line)
