"""JUnit XML and Markdown: all cases, what is wrong with them, and nothing that breaks out of its place."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from hwloop.ci.cases import Case, Finding, Status
from hwloop.ci.reports import junit, summary

RIGHT = Case("nets", "small", "pi4", "tvm", findings=[Finding("outputs", Status.PASSED, "equal to the reference")])
WRONG = Case(
    "nets",
    "large",
    "pi4",
    "tvm",
    findings=[
        Finding("instructions", Status.FAILED, "9 per call, 8 per call allowed"),
        Finding("peak memory", Status.SKIPPED, "this device does not show it"),
    ],
)
LOST = Case("others", "small", "kitchen", "tvm", error="device kitchen: it does not answer")


def test_junit_has_a_suite_for_each_check_and_a_test_for_each_case():
    root = ElementTree.fromstring(junit([RIGHT, WRONG, LOST]))
    assert root.attrib == {"tests": "3", "failures": "1", "errors": "1"}
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [("nets", "2"), ("others", "1")]
    right, wrong, lost = root.iter("testcase")
    assert right.find("failure") is None
    assert wrong.get("classname") == "nets.pi4.tvm"
    assert wrong.find("failure").text == "instructions: 9 per call, 8 per call allowed"
    assert "peak memory skipped" in wrong.find("system-out").text
    assert lost.find("error").get("message") == LOST.error


def test_the_summary_has_a_row_for_each_case_and_what_is_wrong():
    text = summary([RIGHT, WRONG, LOST])
    assert text.startswith("### hwloop: 2 of 3 cases failed\n")
    assert "| ✅ | nets | small | pi4 | tvm |" in text
    assert "- instructions: 9 per call, 8 per call allowed" in text
    assert "- device kitchen: it does not answer" in text
    assert summary([RIGHT]).startswith("### hwloop: 1 of 1 cases passed\n")


@given(st.text(), st.text())
def test_no_name_or_word_breaks_them(name, words):
    case = Case("nets", name, "pi4", "tvm", findings=[Finding("outputs", Status.FAILED, words)], error=words)
    assert len(list(ElementTree.fromstring(junit([case])).iter("testcase"))) == 1
    rows = [line for line in summary([case]).splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert rows[2].replace("\\|", "").count("|") == 9
