"""What makes two measurements the same, and what an item of the JSON list has."""

import json
from dataclasses import replace

import pytest
from hypothesis import given

from hwloop.records import Conditions, Limits, Measurement, Summary, TimingProtocol, Verdict
from hwloop.testing.records import a_failure, a_run, a_subject, subjects


def test_the_models_name_does_not_make_another_measurement():
    one = a_subject()
    assert replace(one, model="copy of magika").key == one.key


@pytest.mark.parametrize(
    "change",
    [
        {"artifact_digest": "0" * 64},
        {"inputs_digest": "0" * 64},
        {"device": "rpi4"},
        {"device_identity": "board-2"},
        {"runtime": "tvm"},
        {"runtime_version": "2.0"},
        {"protocol": {"seconds": 9.0}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_matters_makes_another_measurement(change):
    assert replace(a_subject(), **change).key != a_subject().key


@given(subjects())
def test_a_key_survives_json(subject):
    protocol = json.loads(json.dumps(dict(subject.protocol)))
    assert replace(subject, protocol=protocol).key == subject.key


def test_the_item_of_the_json_list_has_what_the_command_line_promises():
    summary = Summary(samples=90, median_ms=5.0, ci95_ms=(4.9, 5.1), p90_ms=5.5, min_ms=4.5)
    one = Measurement("01", "2026-01-01T12:00:00.000+00:00", a_subject(), Verdict.VALID, (), summary)
    item = one.as_json()
    promised = (
        "model, model_digest, device, runtime, threads, batch, verdict, failure, median_ms, ci95_ms, p90_ms, "
        "p90_upper_ms, p99_ms, p99_upper_ms, min_ms, "
        "samples, peak_rss_mb, artifact_bytes, output_max_abs_err, insns_per_call, measurement_id"
    )
    assert set(promised.split(", ")) <= set(item)
    assert item["ci95_ms"] == [4.9, 5.1] and item["failure"] is None
    assert json.loads(json.dumps(item)) == item


def test_a_failure_is_an_item_too():
    failed = Measurement("01", "", a_subject(), Verdict.FAILED, (), Summary(samples=0), a_failure())
    assert failed.as_json()["failure"]["kind"] == "unsupported operator"


def test_builders_take_changes():
    assert a_run(2, [1.5], steady=False).samples_ns == (1_500_000,)
    assert a_subject(model="a").key != a_subject(model="b").key


def test_shares_are_of_the_time_of_all_timed_processors():
    two = Conditions(cpus=(2, 3), window_s=2.0, foreign_s=1.0, waited_s=0.4)
    assert (two.foreign_share, two.waited_share) == (0.25, 0.1)
    assert (Conditions().foreign_share, Conditions(cpus=(1,), window_s=1.0).waited_share) == (None, None)


def test_equal_limits_are_equal_and_another_figure_makes_others():
    assert Limits() == Limits(foreign_load=0.05)
    assert Limits() != Limits(foreign_load=0.06)


def test_limits_do_not_make_another_measurement():
    one = Measurement("01", "", a_subject(), Verdict.VALID, (), Summary(samples=90), limits=Limits())
    assert replace(one, limits=Limits(foreign_load=0.5)).subject.key == one.subject.key


def test_a_stored_protocol_of_another_version_is_read_as_far_as_it_is_known():
    assert TimingProtocol.from_json({"seconds": 9.0, "unheard_of": 1}) == TimingProtocol(seconds=9.0)


def test_full_speed_makes_another_protocol_and_without_it_the_digest_is_what_it_was():
    plain, full = TimingProtocol(), TimingProtocol(full_speed=True)
    assert "full_speed" not in plain.as_json() and plain.digest != full.digest
    assert TimingProtocol.from_json(full.as_json()) == full
    assert TimingProtocol.from_json(plain.as_json()) == plain
