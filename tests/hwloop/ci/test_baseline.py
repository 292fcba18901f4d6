"""The baseline's file: what was written is read, and only what is right gets in."""

import json

import pytest

from hwloop.ci.baseline import Entry, read_baseline, write_baseline
from hwloop.ci.cases import Case, Finding, Status
from hwloop.ci.run import updated
from hwloop.errors import UsageError
from hwloop.records import Measurement, Summary, Verdict
from hwloop.testing.records import a_subject


def a_case(model, **more):
    measurement = Measurement("01", "", a_subject(model=model), Verdict.VALID, (), Summary(3, insns_per_call=7.0))
    return Case("nets", model, "pi4", "tvm", measurement=measurement, **more)


ENTRY = Entry.of(a_case("old").measurement)


def test_what_was_written_is_read(tmp_path):
    file = tmp_path / "baseline.json"
    assert read_baseline(file) == {}
    write_baseline(file, {"b": ENTRY, "a": ENTRY})
    assert read_baseline(file) == {"a": ENTRY, "b": ENTRY}
    assert list(json.loads(file.read_text())["cases"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "format None"),
        ('{"format": 2, "cases": {}}', "format 2, not 1"),
        ('{"format": 1}', "not of the agreed form"),
        ('{"format": 1, "cases": {"a": {"model": "x"}}}', "not of the agreed form"),
    ],
)
def test_another_file_is_refused(tmp_path, text, words):
    file = tmp_path / "baseline.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=words) as caught:
        read_baseline(file)
    assert "--update-baseline" in caught.value.remedy


def test_an_update_takes_what_passes_and_drops_what_the_plan_has_no_more():
    wrong = a_case("wrong", findings=[Finding("outputs", Status.FAILED, "differ")])
    lost = Case("nets", "lost", "pi4", "tvm", error="it does not answer")
    before = {"gone": ENTRY, lost.name: ENTRY, wrong.name: ENTRY}
    after = updated(before, [a_case("right"), wrong, lost], whole=True)
    assert after.keys() == {a_case("right").name, lost.name}


def test_an_update_of_some_devices_leaves_the_others_as_they_are():
    after = updated({"nets: small on kitchen with tvm": ENTRY}, [a_case("small")], whole=False)
    assert after.keys() == {"nets: small on kitchen with tvm", "nets: small on pi4 with tvm"}
